"""Files that are either whole or not there, whenever the process or the machine stops."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ganforge.errors import RunError
from ganforge.processes import is_another_living


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes the place of ``path`` when the block ends without an error.

    It is written in the folder of ``path``: a rename is atomic within one file system only, and the
    temporary folder is often another one. An error leaves what was there, and removes the new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write(path: Path, data: bytes) -> None:
    """Replaces the contents of ``path``."""
    with writing(path) as file:
        file.write(data)


def replace(path: Path, data: bytes) -> None:
    """Replaces the contents of a file of a run.

    Raises:
        RunError: the disk is full or not writable. What was at ``path`` is still there.
    """
    try:
        write(path, data)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Makes renames in ``folder`` outlast a power cut, where the system lets folders be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def clean(folder: Path) -> None:
    """Removes what processes that are gone left half-written in ``folder``."""
    for path in abandoned(folder):
        path.unlink(missing_ok=True)


def abandoned(folder: Path) -> Iterator[Path]:
    """Yields what processes that are gone left half-written in ``folder``.

    A file of this very process number counts too: containers hand the same number out again.
    """
    for path in folder.glob("*.tmp.*"):
        suffix = path.name.rpartition(".")[2]
        if suffix.isdigit() and not is_another_living(int(suffix)):
            yield path
