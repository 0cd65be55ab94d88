from __future__ import annotations

import hashlib
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Unpack

import numpy as np
import torch

from ganforge.data.files.download import Origin
from ganforge.data.images import resize, with_channels
from ganforge.data.module import ImageDataModule
from ganforge.data.settings import ColorSettings
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import DataError

_FOLDER = "cifar-10-batches-py"
_ARCHIVE = "cifar-10-python.tar.gz"
_URL = f"https://www.cs.toronto.edu/~kriz/{_ARCHIVE}"
# Files and their MD5 checksums, as in torchvision.
_TRAIN = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
_TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}


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
            _download,
            f"The archive is {_URL}. For CIFAR-10 as image files use data=folder "
            "data.path=PATH data.image_size=32.",
        )

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        folder = self.located()
        return {
            "train": self._split(folder, _TRAIN),
            "test": self._split(folder, _TEST),
        }

    def _split(self, folder: Path, files: dict[str, str]) -> MemorySource:
        images, labels = [], []
        for content in _contents(folder, files):
            batch = pickle.loads(content, encoding="latin1")
            images.append(torch.from_numpy(np.asarray(batch["data"])).view(-1, 3, 32, 32))
            labels += batch["labels"]
        sized = resize(torch.cat(images), self.image_size)
        return MemorySource(with_channels(sized, self.channels), torch.tensor(labels))


def _download(root: Path) -> None:
    from torchvision import datasets

    datasets.CIFAR10(str(root), download=True)


def _find(root: Path) -> Path | None:
    unpacked = all((_folder(root) / name).is_file() for name in (*_TRAIN, *_TEST))
    return root if unpacked or (root / _ARCHIVE).is_file() else None


def _folder(root: Path) -> Path:
    """Returns the folder of the batches: a subfolder of the root, or the root itself."""
    return root / _FOLDER if (root / _FOLDER).is_dir() else root


def _contents(root: Path, files: dict[str, str]) -> list[bytes]:
    """Returns the bytes of the batch files, unpacked or from the archive.

    Checks the MD5 checksums, because unpickling a modified file could execute code.

    Raises:
        DataError: a file cannot be read or is not the original one.
    """
    try:
        folder = _folder(root)
        if all((folder / name).is_file() for name in files):
            contents = [(folder / name).read_bytes() for name in files]
        else:
            contents = _members(root / _ARCHIVE, [f"{_FOLDER}/{name}" for name in files])
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"data=cifar10: {root} cannot be read: {error}") from error
    for content, (name, md5) in zip(contents, files.items(), strict=True):
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise DataError(f"data=cifar10: {name} under {root} is damaged: wrong checksum")
    return contents


def _members(path: Path, names: list[str]) -> list[bytes]:
    with tarfile.open(path) as archive:
        opened = [archive.extractfile(name) for name in names]
        return [member.read() for member in opened if member is not None]
