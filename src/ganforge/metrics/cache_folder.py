"""Where what outlives a run is kept, and what lies there. Imports nothing heavy."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ganforge import atomic
from ganforge.cache_home import cache_root
from ganforge.faults import system_error

log = logging.getLogger("ganforge")

KINDS = ("classifiers", "statistics")
HALF_WRITTEN = 3600  # seconds after which nobody is writing a file any more
LONGEST = 80  # characters of a data set's name in a file's name, of which systems take 255


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


def root() -> Path:
    """Returns the cache's folder: ``$GANFORGE_CACHE``, or ``~/.cache/ganforge``."""
    return cache_root()


def reason(fault: BaseException) -> str:
    """Returns why the cache could not be written, and what to do about it.

    A file is written whole or not at all, so what remains is the disk.
    """
    seen = system_error(fault)
    text = (seen.strerror or str(seen)) if seen is not None else "is the disk full?"
    return f"{text}; GANFORGE_CACHE=FOLDER keeps it elsewhere"


def warn_unreadable(path: Path, fault: OSError) -> None:
    """Says why a file that is there is not used, such as a colleague's of mode 600."""
    remedy = "; its owner can allow it with chmod a+r" if fault.errno == errno.EACCES else ""
    log.warning("%s cannot be read and is made anew: %s%s", path, fault.strerror or fault, remedy)


def file_name(data: str, *rest: str) -> str:
    """Returns a file's name that begins with a data set's, whatever characters that has.

    Args:
        data: the data set's name. "/" would lead to another folder, where nothing is listed.
        rest: further parts, which tell apart what ``data`` does not.
    """
    return "-".join([quote(data, safe="")[:LONGEST], *rest]) + ".pt"


def entries(kind: str | None = None) -> list[Entry]:
    """Returns the files of one kind, or of all kinds in turn, the youngest first.

    With them what killed processes left half-written an hour ago or earlier.
    """
    found = []
    for name in KINDS if kind is None else (kind,):
        folder = root() / name
        found += sorted(
            [*files(folder, name), *leftovers(folder, name)], key=lambda entry: entry.age
        )
    return found


def files(folder: Path, kind: str) -> list[Entry]:
    """Returns the files of one kind that lie in ``folder``, the youngest first."""
    return sorted(_entries(folder.glob("*.pt"), kind), key=lambda entry: entry.age)


def leftovers(folder: Path, kind: str) -> list[Entry]:
    """Returns files in ``folder`` that were never finished, and that nobody is writing any more."""
    found = _entries([*folder.glob("tmp*.tmp"), *atomic.abandoned(folder)], kind)
    return [entry for entry in found if entry.age > HALF_WRITTEN]


def clear(kind: str | None = None) -> list[Entry]:
    """Removes the files of one kind, or of all, and returns them."""
    removed = entries(kind)
    for entry in removed:
        entry.path.unlink(missing_ok=True)
    for name in KINDS if kind is None else (kind,):
        atomic.clean(root() / name)
    return removed


def _entries(paths: Iterable[Path], kind: str) -> list[Entry]:
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # another process was quicker to clear it
            continue
        found.append(Entry(path, kind, status.st_size, time.time() - status.st_mtime))
    return found
