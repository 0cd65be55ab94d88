"""On-disk cache of real images' statistics, shared by all runs of a user."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import pickle
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import torch
from torch import Tensor

from ganforge import atomic
from ganforge.errors import DamagedError, system_error
from ganforge.paths import cache_root
from ganforge.tensor_files import read_tensors

log = logging.getLogger("ganforge")

Key = Mapping[str, str | int | float]
T = TypeVar("T")

# Raised by files with unexpected contents.
DAMAGED = (
    *(DamagedError, RuntimeError, EOFError, KeyError, TypeError, ValueError, AttributeError),
    pickle.UnpicklingError,
)

VERSION = 1  # part of every key: raise it when the meaning of cached statistics changes
MOST_BYTES_EACH = 2**30
MOST_BYTES = 8 * 2**30
KINDS = ("classifiers", "statistics")
HALF_WRITTEN = 3600  # seconds after which a temporary file counts as abandoned
LONGEST = 80  # characters of the data set's name in a file name; file systems allow 255 in all


class StatisticsCache:
    """A key-value store of tensors on disk, shared by all runs of a user.

    Files are written atomically, so that concurrent runs never read a partial file. Damaged files
    are recomputed. If the folder is not writable, a warning is logged and nothing is cached.

    Args:
        folder: folder of the files; None uses ``statistics`` in the cache folder.
        most_bytes: maximum total size; the least recently used files are removed first.
        most_bytes_each: maximum size of one entry; larger ones are not cached.
    """

    def __init__(
        self,
        folder: Path | None = None,
        most_bytes: int = MOST_BYTES,
        most_bytes_each: int = MOST_BYTES_EACH,
    ) -> None:
        self.folder = folder or cache_root() / "statistics"
        self.most_bytes = most_bytes
        self.most_bytes_each = most_bytes_each

    def path(self, key: Key) -> Path:
        """Returns the file of a key, which must have the entries "data" and "kind"."""
        digest = hashlib.sha256(_text(key).encode()).hexdigest()[:16]
        return self.folder / file_name(str(key["data"]), str(key["kind"]), digest)

    def load(self, key: Key) -> dict[str, Tensor] | None:
        """Returns the tensors of a key on the CPU; None if missing, unreadable or damaged."""
        path = self.path(key)

        def parse(contents: Any) -> dict[str, Tensor]:
            tensors: dict[str, Tensor] = contents["tensors"]
            if contents["key"] != _text(key) or contents["checksum"] != _checksum(tensors):
                raise ValueError("its contents differ from what was written")
            return tensors

        tensors = read_cached(path, parse)
        if tensors is not None:
            # Marks the file as recently used. Fails for files of other users, which are still read.
            with contextlib.suppress(OSError):
                os.utime(path)
        return tensors

    def save(self, key: Key, tensors: Mapping[str, Tensor]) -> None:
        """Stores tensors under a key, unless they exceed ``most_bytes_each``."""
        copies = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        if sum(value.nbytes for value in copies.values()) > self.most_bytes_each:
            return
        contents = {"key": _text(key), "checksum": _checksum(copies), "tensors": copies}
        try:
            with atomic.writing(self.path(key)) as file:
                torch.save(contents, file)
            self._make_room()
        except (OSError, RuntimeError) as fault:  # torch.save: RuntimeError on a full disk
            log.warning("cannot save statistics in %s: %s", self.folder, reason(fault))

    def _make_room(self) -> None:
        total = 0
        for entry in files(self.folder, "statistics"):  # most recently used first
            total += entry.size
            if total > self.most_bytes:
                with contextlib.suppress(OSError):  # another user's file in a shared folder
                    entry.path.unlink(missing_ok=True)


def read_cached(path: Path, parse: Callable[[Any], T], remove: bool = False) -> T | None:
    """Returns what ``parse`` makes of a file of tensors; None if missing, unreadable or damaged.

    Args:
        path: the file.
        parse: converts the file's contents; raises an error if they are damaged.
        remove: whether to remove a damaged file.
    """
    try:
        return parse(read_tensors(path))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as fault:
        warn_unreadable(path, fault)
    except DAMAGED as fault:
        log.warning("%s is damaged and will be recreated: %s", path, fault)
        if remove:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return None


def _text(key: Key) -> str:
    return json.dumps({"version": VERSION, **key}, sort_keys=True)


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].contiguous().numpy().data, total)
    return total


class Entry(NamedTuple):
    """A file of the cache.

    Attributes:
        path: the file.
        kind: "classifiers" or "statistics".
        size: in bytes.
        age: seconds since it was last written or, for statistics, read.
    """

    path: Path
    kind: str
    size: int
    age: float


def reason(fault: BaseException) -> str:
    """Returns why the cache could not be written, and what to do about it.

    An exception without an underlying OSError is reported as a possibly full disk.
    """
    error = system_error(fault)
    text = (error.strerror or str(error)) if error is not None else "is the disk full?"
    return f"{text}; GANFORGE_CACHE=FOLDER selects another folder"


def warn_unreadable(path: Path, fault: OSError) -> None:
    """Warns that an existing file cannot be read, such as another user's file of mode 600."""
    remedy = "; its owner can allow it with chmod a+r" if fault.errno == errno.EACCES else ""
    log.warning("%s cannot be read; recreating it: %s%s", path, fault.strerror or fault, remedy)


def file_name(data: str, *rest: str) -> str:
    """Returns a file name that starts with the data set's name, percent-encoded.

    Args:
        data: the data set's name. An unescaped "/" would point to a subfolder that is not listed.
        rest: further parts, such as a hash, which make the name unique.
    """
    return "-".join([quote(data, safe="")[:LONGEST], *rest]) + ".pt"


def entries(kind: str | None = None) -> list[Entry]:
    """Returns the files of one kind, or of each kind in turn, newest first.

    Includes temporary files that killed processes left at least an hour ago.
    """
    listed = []
    for name in KINDS if kind is None else (kind,):
        folder = cache_root() / name
        both = [*files(folder, name), *leftovers(folder, name)]
        listed += sorted(both, key=lambda entry: entry.age)
    return listed


def files(folder: Path, kind: str) -> list[Entry]:
    """Returns the finished files in ``folder`` as entries of ``kind``, newest first."""
    return sorted(_entries(folder.glob("*.pt"), kind), key=lambda entry: entry.age)


def leftovers(folder: Path, kind: str) -> list[Entry]:
    """Returns unfinished files in ``folder`` that are old enough to be abandoned."""
    temporary = _entries([*folder.glob("tmp*.tmp"), *atomic.abandoned(folder)], kind)
    return [entry for entry in temporary if entry.age > HALF_WRITTEN]


def clear(kind: str | None = None) -> list[Entry]:
    """Removes the files of one kind, or of all kinds, and returns their entries."""
    removed = entries(kind)
    for entry in removed:
        entry.path.unlink(missing_ok=True)
    for name in KINDS if kind is None else (kind,):
        atomic.clean(cache_root() / name)
    return removed


def _entries(paths: Iterable[Path], kind: str) -> list[Entry]:
    listed = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # removed by another process in the meantime
            continue
        listed.append(Entry(path, kind, status.st_size, time.time() - status.st_mtime))
    return listed
