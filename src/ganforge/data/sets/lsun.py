from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

from ganforge.data.files.download import Origin
from ganforge.data.files.encoded import Entries
from ganforge.data.sets.file_data import FileData
from ganforge.data.settings import PhotographSettings
from ganforge.data.source import ImageSource
from ganforge.errors import DataError, install

_ADVICE = (
    "LSUN is not downloaded automatically: get the lmdb folder with the scripts of "
    "https://github.com/fyu/lsun and unpack it."
)
_PARTS = {"train": "train", "test": "val"}


class LSUN(FileData):
    """One category of LSUN (Yu et al. 2015, arXiv:1506.03365): up to millions of photographs, RGB.

    Images are cropped to the central square and resized. The validation part, 300 images, is the
    test split. The data set is not downloaded automatically.

    Args:
        root: folder with ``CATEGORY_train_lmdb/`` and ``CATEGORY_val_lmdb/``; None for the folder
            in the cache.
        category: bedroom, church_outdoor, cat, ...
        name: name of the data set in runs and tables.
        mirror: flip training images horizontally with probability 1/2.
        **settings: see :class:`ganforge.data.FileData`; channels are 3, or 1 for gray.
    """

    def __init__(
        self,
        root: str | None = None,
        category: str = "bedroom",
        name: str = "lsun",
        *,
        mirror: bool = True,
        **settings: Unpack[PhotographSettings],
    ) -> None:
        super().__init__(name, mirror=mirror, **settings)
        self.root = root
        self.category = category
        files = tuple(f"{category}_{part}_lmdb/data.mdb" for part in _PARTS.values())
        self.origin = Origin("lsun", files, self._find, None, _ADVICE)

    def load(self) -> dict[str, ImageSource]:
        """Returns the train split and, if it exists, the test split."""
        root = self.located()
        paths = {split: root / f"{self.category}_{part}_lmdb" for split, part in _PARTS.items()}
        entries = {split: LmdbEntries(path) for split, path in paths.items() if path.is_dir()}
        return {split: self.source(images, images.names) for split, images in entries.items()}

    def _find(self, root: Path) -> Path | None:
        return root if (root / f"{self.category}_train_lmdb" / "data.mdb").is_file() else None


class LmdbEntries(Entries):
    """Encoded images in an lmdb database.

    Args:
        path: folder with ``data.mdb``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with _database(path).begin() as transaction:
            keys = transaction.cursor().iternext(keys=True, values=False)
            self.names = [bytes(key).decode("latin1") for key in keys]
        status = (path / "data.mdb").stat()
        self._stamp = f"{status.st_size} {status.st_mtime_ns}"

    def read(self, name: str) -> bytes:
        """Returns the encoded image stored under the key ``name``."""
        with _database(self.path).begin() as transaction:
            return bytes(transaction.get(name.encode("latin1")))

    def stamp(self, name: str) -> str:
        """Returns size and modification time of the whole database."""
        return self._stamp


_databases: dict[Path, tuple[int, Any]] = {}


def _database(path: Path) -> Any:
    """Returns this process's only handle: lmdb forbids a second one, or one from before a fork."""
    key = path.resolve()
    process, database = _databases.get(key, (0, None))
    if process != os.getpid():
        if database is not None:
            database.close()
        database = _open(path)
        _databases[key] = os.getpid(), database
    return database


def _open(path: Path) -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise DataError(f"data=lsun needs the package lmdb: {install('lsun')}") from error
    try:
        return lmdb.open(str(path), readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise DataError(f"{path} cannot be read: {error}") from error
