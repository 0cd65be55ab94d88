"""Reads the IDX files of MNIST-like data sets from torchvision's folders, gzipped or not."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from ganforge.data.files.download import Origin
from ganforge.data.images import pad_to, resize, with_channels
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import DataError

_PREFIXES = {"train": "train", "test": "t10k"}
_STEMS = tuple(
    f"{prefix}-{kind}-ubyte"
    for prefix in _PREFIXES.values()
    for kind in ("images-idx3", "labels-idx1")
)


def idx_origin(name: str, dataset: type[datasets.MNIST]) -> Origin:
    """Returns the origin of a torchvision data set of the MNIST family.

    Args:
        name: the option of ``conf/data``.
        dataset: torchvision's class; its name is also the name of the folder under the root.
    """

    def present(root: Path) -> bool:
        return all(_find(root, dataset.__name__, stem) for stem in _STEMS)

    def download(root: Path) -> None:
        dataset(str(root), download=True)

    files = tuple(f"{dataset.__name__}/raw/{stem}.gz" for stem in _STEMS)
    url = dataset.mirrors[0]
    return Origin(name, files, present, download, f"They come from {url}.")


def load_idx(folder: Path, subfolder: str, size: int, channels: int) -> dict[str, ImageSource]:
    """Returns both splits of a data set of 28x28 grey images.

    Args:
        folder: the root.
        subfolder: torchvision's name of the data set.
        size: 28 for the original size; for other sizes, images are padded to 32 with black, then
            resized.
        channels: 1, or 3 for grey as RGB.

    Raises:
        DataError: a file is damaged, or the numbers of images and labels differ.
    """
    read = partial(_read, folder, subfolder)
    sources: dict[str, ImageSource] = {}
    for split, prefix in _PREFIXES.items():
        images = read(f"{prefix}-images-idx3-ubyte", 3).unsqueeze(1)
        labels = read(f"{prefix}-labels-idx1-ubyte", 1).long()
        if len(images) != len(labels):
            raise DataError(f"{folder}: {len(images)} {split} images, but {len(labels)} labels")
        sized = images if size == images.shape[-1] else resize(pad_to(images, 32), size)
        sources[split] = MemorySource(with_channels(sized, channels), labels)
    return sources


def _find(root: Path, subfolder: str, stem: str) -> Path | None:
    """Returns the path of a file under the names used by torchvision, LeCun's page or Kaggle."""
    for folder in (root / subfolder / "raw", root / subfolder, root / "raw", root):
        for name in (stem, stem.replace("-idx", ".idx")):
            for path in (folder / name, folder / f"{name}.gz"):
                for found in (path, path / name, path / stem):
                    if found.is_file():
                        return found
    return None


def _read(root: Path, subfolder: str, stem: str, dimensions: int) -> Tensor:
    """Returns the uint8 array of an IDX file: magic number, big-endian sizes, bytes."""
    path = _find(root, subfolder, stem)
    assert path is not None
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    header = 4 + 4 * dimensions
    sizes = np.frombuffer(data[4:header], ">i4").tolist()
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) != header + int(np.prod(sizes)):
        raise DataError(f"{path} is damaged: it is no complete IDX file of {dimensions} dimensions")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).copy()).view(sizes)
