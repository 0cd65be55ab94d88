from __future__ import annotations

import hashlib
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from torchvision import datasets

from ganforge.data.files.download import Origin
from ganforge.data.images import resize, with_channels
from ganforge.data.module import ImageDataModule
from ganforge.data.settings import ColorSettings
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import DataError

_FOLDER = "cifar-10-batches-py"
_ARCHIVE = "cifar-10-python.tar.gz"


class CIFAR10(ImageDataModule):
    """CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 photographs of 10 classes, 32x32 RGB.

    Args:
        root: folder with torchvision's files; None to download into the cache.
        name: name of the data set in runs and tables.
        num_classes: 10.
        mirror: flip training images horizontally with probability 1/2.
        **settings: see :class:`ganforge.data.ImageDataModule`; images of 32x32 are resized to
            other sizes; channels are 3, or 1 for gray.
    """

    classes = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    def __init__(
        self,
        root: str | None = None,
        name: str = "cifar10",
        num_classes: int = 10,
        *,
        mirror: bool = True,
        **settings: Unpack[ColorSettings],
    ) -> None:
        super().__init__(name, num_classes=num_classes, mirror=mirror, **settings)
        self.root = root
        files = (f"{_ARCHIVE} or {_FOLDER}/",)
        self.origin = Origin(
            "cifar10",
            files,
            _find,
            lambda root: datasets.CIFAR10(str(root), download=True),
            f"The archive is {datasets.CIFAR10.url}. For CIFAR-10 as image files use data=folder "
            "data.path=PATH data.image_size=32.",
        )

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        folder = self.located()
        return {
            "train": self._split(folder, datasets.CIFAR10.train_list),
            "test": self._split(folder, datasets.CIFAR10.test_list),
        }

    def _split(self, folder: Path, files: list[list[str]]) -> MemorySource:
        images, labels = [], []
        for content in _contents(folder, files):
            batch = pickle.loads(content, encoding="latin1")
            images.append(torch.from_numpy(np.asarray(batch["data"])).view(-1, 3, 32, 32))
            labels += batch["labels"]
        sized = resize(torch.cat(images), self.image_size)
        return MemorySource(with_channels(sized, self.channels), torch.tensor(labels))


def _find(root: Path) -> Path | None:
    names = [name for name, _ in datasets.CIFAR10.train_list + datasets.CIFAR10.test_list]
    unpacked = all((_folder(root) / name).is_file() for name in names)
    return root if unpacked or (root / _ARCHIVE).is_file() else None


def _folder(root: Path) -> Path:
    """Returns the folder of the batches: a subfolder of the root, or the root itself."""
    return root / _FOLDER if (root / _FOLDER).is_dir() else root


def _contents(root: Path, files: list[list[str]]) -> list[bytes]:
    """Returns the bytes of the batch files, unpacked or from the archive.

    Checks the MD5 checksums, because unpickling a modified file could execute code.

    Raises:
        DataError: a file cannot be read or is not the original one.
    """
    try:
        folder = _folder(root)
        if all((folder / name).is_file() for name, _ in files):
            contents = [(folder / name).read_bytes() for name, _ in files]
        else:
            contents = _members(root / _ARCHIVE, [f"{_FOLDER}/{name}" for name, _ in files])
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"data=cifar10: {root} cannot be read: {error}") from error
    for content, (name, md5) in zip(contents, files, strict=True):
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise DataError(f"data=cifar10: {name} under {root} is damaged: wrong checksum")
    return contents


def _members(path: Path, names: list[str]) -> list[bytes]:
    with tarfile.open(path) as archive:
        opened = [archive.extractfile(name) for name in names]
        return [member.read() for member in opened if member is not None]
