"""Where what outlives a run is kept, and what lies there. Imports nothing heavy."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ganforge import atomic

KINDS = ("classifiers", "statistics")
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
    return Path(os.environ.get("GANFORGE_CACHE") or Path.home() / ".cache" / "ganforge")


def file_name(data: str, *rest: str) -> str:
    """Returns a file's name that begins with a data set's, whatever characters that has.

    Args:
        data: the data set's name. "/" would lead to another folder, where nothing is listed.
        rest: further parts, which tell apart what ``data`` does not.
    """
    return "-".join([quote(data, safe="")[:LONGEST], *rest]) + ".pt"


def entries(kind: str | None = None) -> list[Entry]:
    """Returns the files of one kind, or of all kinds in turn, the youngest first."""
    kinds = KINDS if kind is None else (kind,)
    return [entry for name in kinds for entry in files(root() / name, name)]


def files(folder: Path, kind: str) -> list[Entry]:
    """Returns the files of one kind that lie in ``folder``, the youngest first."""
    found = []
    for path in folder.glob("*.pt"):
        try:
            status = path.stat()
        except OSError:  # another process was quicker to clear it
            continue
        found.append(Entry(path, kind, status.st_size, time.time() - status.st_mtime))
    return sorted(found, key=lambda entry: entry.age)


def clear(kind: str | None = None) -> list[Entry]:
    """Removes the files of one kind, or of all, and returns them."""
    removed = entries(kind)
    for entry in removed:
        entry.path.unlink(missing_ok=True)
    for name in KINDS if kind is None else (kind,):
        atomic.clean(root() / name)
    return removed
