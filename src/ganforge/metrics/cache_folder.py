"""The cache folder and its files. Imports nothing heavy."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ganforge import atomic
from ganforge.errors import system_error
from ganforge.paths import cache_root

log = logging.getLogger("ganforge")

# Folders in the cache, and the suffixes of their files. Images are decoded ones; see data.cache.
SUFFIXES = {
    "classifiers": (".pt",),
    "statistics": (".pt",),
    "images": (".images",),
    "shards": (".pt", ".shard"),
}
KINDS = tuple(SUFFIXES)
HALF_WRITTEN = 3600  # seconds after which a temporary file counts as abandoned
LONGEST = 80  # characters of the data set's name in a file name; file systems allow 255 in all


class Entry(NamedTuple):
    """A file of the cache.

    Attributes:
        path: the file.
        kind: one of ``KINDS``.
        size: in bytes.
        age: seconds since it was last written or, for statistics and images, read.
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
    finished = [path for suffix in SUFFIXES[kind] for path in folder.glob(f"*{suffix}")]
    return sorted(_entries(finished, kind), key=lambda entry: entry.age)


def leftovers(folder: Path, kind: str) -> list[Entry]:
    """Returns unfinished files in ``folder`` that are old enough to be abandoned."""
    temporary = [*folder.glob("tmp*.tmp"), *folder.glob("*.lock"), *atomic.abandoned(folder)]
    return [entry for entry in _entries(temporary, kind) if entry.age > HALF_WRITTEN]


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
