from __future__ import annotations

import gzip
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from ganforge.data.files.download import Origin
from ganforge.data.images import pad_to, resize, with_channels
from ganforge.data.module import ImageDataModule
from ganforge.data.settings import SizedSettings
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import DataError

_PREFIXES = {"train": "train", "test": "t10k"}
_STEMS = tuple(
    f"{prefix}-{kind}-ubyte"
    for prefix in _PREFIXES.values()
    for kind in ("images-idx3", "labels-idx1")
)


class MNIST(ImageDataModule):
    """MNIST (LeCun et al. 1998): 60,000 + 10,000 handwritten digits, 28x28 gray.

    The IDX files may be gzipped or not.

    Args:
        root: folder with torchvision's files; None to download into the cache.
        name: name of the data set in runs and tables.
        channels: 1, or 3 for gray as RGB.
        num_classes: 10.
        batch_size: images per discriminator update, over all processes.
        **settings: see :class:`ganforge.data.ImageDataModule`; ``image_size`` is 28 for the
            original size, 32 to add a black border, other sizes are resized.

    Attributes:
        option: name of the data set in ``conf/data`` and in the cache.
        dataset: name of torchvision's class for the data set, and of its folder.
        home: where the files come from.
    """

    option: str = "mnist"
    dataset: str = "MNIST"
    home: str = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    classes = tuple("0123456789")

    def __init__(
        self,
        root: str | None = None,
        name: str = "mnist",
        channels: int = 1,
        num_classes: int = 10,
        batch_size: int = 32,
        **settings: Unpack[SizedSettings],
    ) -> None:
        super().__init__(
            name, channels=channels, num_classes=num_classes, batch_size=batch_size, **settings
        )
        self.root = root
        files = tuple(f"{self.dataset}/raw/{stem}.gz" for stem in _STEMS)
        advice = f"They come from {self.home}."
        self.origin = Origin(self.option, files, self._find, self._download, advice)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits; raises DataError if a file is damaged."""
        root, size = self.located(), self.image_size
        sources: dict[str, ImageSource] = {}
        for split, prefix in _PREFIXES.items():
            images = self._read(root, f"{prefix}-images-idx3-ubyte", 3).unsqueeze(1)
            labels = self._read(root, f"{prefix}-labels-idx1-ubyte", 1).long()
            if len(images) != len(labels):
                raise DataError(f"{root}: {len(images)} {split} images, but {len(labels)} labels")
            sized = images if size == images.shape[-1] else resize(pad_to(images, 32), size)
            sources[split] = MemorySource(with_channels(sized, self.channels), labels)
        return sources

    def _find(self, root: Path) -> Path | None:
        return root if all(self._path(root, stem) for stem in _STEMS) else None

    def _download(self, root: Path) -> None:
        from torchvision import datasets

        getattr(datasets, self.dataset)(str(root), download=True)

    def _path(self, root: Path, stem: str) -> Path | None:
        """Returns the path of a file by the names of torchvision, LeCun's page or Kaggle."""
        subfolder = root / self.dataset
        for folder in (subfolder / "raw", subfolder, root / "raw", root):
            for name in (stem, stem.replace("-idx", ".idx")):
                for path in (folder / name, folder / f"{name}.gz"):
                    for file in (path, path / name, path / stem):
                        if file.is_file():
                            return file
        return None

    def _read(self, root: Path, stem: str, dimensions: int) -> Tensor:
        """Returns the uint8 array of an IDX file: magic number, big-endian sizes, bytes."""
        path = self._path(root, stem)
        assert path is not None
        try:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        header = 4 + 4 * dimensions
        sizes = np.frombuffer(data[4:header], ">i4").tolist()
        if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) != header + int(np.prod(sizes)):
            raise DataError(f"{path} is damaged: expected an IDX file of {dimensions} dimensions")
        return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).copy()).view(sizes)
