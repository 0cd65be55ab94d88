"""Atomic file writes: after a crash, a file is either complete or unchanged."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ganforge.errors import RunError
from ganforge.file_locks import try_lock
from ganforge.processes import is_another_living
from ganforge.regular_files import open_regular

# .ganforge-HOST-RANDOM.tmp.PID. The file's own name is not part of it: names may have up to 255
# characters, which leaves no room for a suffix. Earlier versions wrote NAME.tmp.PID in run folders.
_NAME = re.compile(r"\.ganforge-([0-9a-f]{8})-[0-9a-f]{8}\.tmp\.(\d{1,10})")
_FORMER = re.compile(
    r"(?:(?:last|previous|best)\.ckpt|(?:composed|config)\.yaml"
    r"|(?:choices|changes|provenance|summary)\.json|metrics\.csv|code(?:-\d+)?\.diff|.+\.pt)"
    r"\.tmp\.(\d+)"
)
_ELSEWHERE = 24 * 3600.0  # seconds without a write until another host's file counts as abandoned
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL

_writing: set[Path] = set()  # temporary files that this process is writing
_visited: set[Path] = set()  # folders that this process has already cleaned
_standing: dict[Path, tuple[int, int]] = {}  # device and inode of folders that must not be replaced


@contextlib.contextmanager
def writing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Opens a temporary file that replaces ``path`` when the block ends without an error.

    The temporary file is created in the folder of ``path``: a rename is only atomic within one file
    system, and the system's temporary folder is often on another one. On an error, the new file is
    removed and ``path`` is unchanged. A link at ``path`` is replaced; its target is not modified.

    Args:
        path: path of the file.
        durable: whether to call fsync, so that the file survives a power failure. This is too slow
            for thousands of files that can be regenerated.

    Raises:
        OSError: the file cannot be written.
    """
    _make_folder(path.parent)
    _clean_once(path)
    temporary = temporary_sibling(path)
    descriptor = open_regular(temporary, _NEW)
    _writing.add(temporary)
    try:
        with open(temporary, "w+b", opener=lambda path, flags: descriptor) as file:
            # For containers, which do not see this PID. Without locks, the PID alone decides.
            try_lock(descriptor)
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # keep the original error
            temporary.unlink(missing_ok=True)
        raise
    finally:
        _writing.discard(temporary)
    if durable:
        sync_folder(path.parent)


def write(path: Path, data: bytes, durable: bool = True) -> None:
    """Replaces the contents of ``path`` atomically; see :func:`writing`."""
    with writing(path, durable) as file:
        file.write(data)


def replace(path: Path, data: bytes, durable: bool = True) -> None:
    """Replaces the contents of a run's file atomically; see :func:`writing`.

    Raises:
        RunError: the disk is full or not writable. ``path`` is unchanged.
    """
    try:
        write(path, data, durable)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def temporary_sibling(path: Path) -> Path:
    """Returns a new temporary path next to ``path``, with a name that :func:`clean` recognizes."""
    return path.with_name(f".ganforge-{_host()}-{os.urandom(4).hex()}.tmp.{os.getpid()}")


def is_temporary(name: str) -> bool:
    """Returns whether ``name`` is that of a temporary file of this module."""
    return _NAME.fullmatch(name) is not None or _FORMER.fullmatch(name) is not None


def sync_folder(folder: Path) -> None:
    """Flushes renames in ``folder`` to disk, on systems that support fsync on folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def keeping_folder(folder: Path) -> Iterator[None]:
    """Makes writes below ``folder`` fail if it is removed or moved, instead of recreating it."""
    key = folder.absolute()
    _standing[key] = _identity(key)
    try:
        yield
    finally:
        _standing.pop(key, None)


def assert_unmoved(path: Path) -> None:
    """Checks that the folder of :func:`keeping_folder` that contains ``path`` is unchanged.

    Raises:
        FileNotFoundError: it was removed or moved, or another folder now has its name.
    """
    for folder, identity in list(_standing.items()):
        if path.absolute().is_relative_to(folder):
            try:
                same = _identity(folder) == identity
            except (FileNotFoundError, NotADirectoryError):
                same = False
            if not same:
                reason = f"the run folder {folder} was removed or moved while the run was training"
                raise FileNotFoundError(errno.ENOENT, reason, str(path))


def clean(folder: Path) -> None:
    """Removes temporary files that terminated processes left in ``folder``."""
    for path in abandoned(folder):
        path.unlink(missing_ok=True)


def abandon() -> None:
    """Removes the temporary files of this process before it exits."""
    for path in list(_writing):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def abandoned(folder: Path, former: re.Pattern[str] = _FORMER) -> Iterator[Path]:
    """Yields the temporary files that terminated processes left in ``folder``, sorted by name.

    A file with this process's own PID is yielded too, unless this process is writing it: containers
    reuse PIDs.

    Args:
        folder: folder to search; it need not exist.
        former: pattern of temporary names of earlier versions; its first group is the PID.
    """
    with contextlib.suppress(OSError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path)
            regular = entry.is_file(follow_symlinks=False)
            if regular and path not in _writing and _is_abandoned(path, former):
                yield path


def _is_abandoned(path: Path, former: re.Pattern[str]) -> bool:
    if old := former.fullmatch(path.name):
        return not is_another_living(int(old[1]))
    own = _NAME.fullmatch(path.name)
    if own is None or _is_locked(path):
        return False
    if own[1] == _host():
        return not is_another_living(int(own[2]))
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > _ELSEWHERE
    return False


def _clean_once(path: Path) -> None:
    """Removes abandoned temporary files the first time that this process writes to a folder.

    The folder may belong to the user, so former names are only matched for ``path`` itself.
    """
    folder = path.parent.absolute()
    if folder in _visited:
        return
    _visited.add(folder)
    former = re.compile(re.escape(path.name) + r"\.tmp\.(\d+)")
    for leftover in abandoned(folder, former):
        with contextlib.suppress(OSError):  # a read-only folder fails later, at the write itself
            leftover.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    assert_unmoved(folder)
    roots = [root for root in _standing if folder.absolute().is_relative_to(root)]
    if not roots:
        folder.mkdir(parents=True, exist_ok=True)
        return
    parts = folder.absolute().relative_to(roots[0]).parts
    for depth in range(1, len(parts) + 1):  # never recreate the run folder itself
        roots[0].joinpath(*parts[:depth]).mkdir(exist_ok=True)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _is_locked(path: Path) -> bool:
    try:
        descriptor = open_regular(path)
    except OSError:
        return False
    try:
        return try_lock(descriptor, shared=True) is False
    finally:
        os.close(descriptor)
