from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ganforge.data.files.encoded import (
    MAX_FILE_BYTES,
    Entries,
    check_size,
    read_whole,
)
from ganforge.errors import DataError

# Without O_NONBLOCK, opening a FIFO blocks until something writes to it.
_SAFELY = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class FolderEntries(Entries):
    """Images anywhere under a folder. Each folder is read once, even if several links lead to it.

    Args:
        folder: an existing folder.
        max_bytes: maximum size of a file.

    Raises:
        DataError: a subfolder cannot be read.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        super().__init__(max_bytes)
        self.folder = folder
        self._visited: dict[object, str] = {}
        self._links: list[str] = []
        names = [*self._walk("")]
        # Follow links last, so that a folder reachable without a link is listed without one.
        while self._links:
            links, self._links = sorted(self._links), []
            for link in links:
                names += self._walk(link)
        self.names = sorted(names)

    def read(self, name: str) -> bytes:
        """Returns the bytes of a file."""
        with self.open(name) as file:
            return read_whole(file, self.max_bytes)

    def open(self, name: str) -> BinaryIO:
        """Returns an open file."""
        file = open_data(self.folder / name)
        try:
            check_size(os.fstat(file.fileno()).st_size, self.max_bytes)
        except DataError:
            file.close()
            raise
        return file

    def stamp(self, name: str) -> str:
        """Returns size and modification time; "missing" if there is no such file."""
        try:
            status = (self.folder / name).stat()
        except OSError:
            return "missing"
        return f"{status.st_size} {status.st_mtime_ns}"

    def _walk(self, start: str) -> Iterator[str]:
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            if not self._is_new(folder):
                continue
            for entry in _scanned(self.folder / folder):
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name.startswith("."):
                    continue
                mode = _mode(entry)
                if stat.S_ISDIR(mode):
                    (self._links if entry.is_symlink() else waiting).append(name)
                elif self._accepts(name, "an archive; to read it, set the path to it"):
                    if stat.S_ISREG(mode):
                        yield name
                    else:
                        self.skipped[name] = _kind(Path(entry.path))

    def _is_new(self, folder: str) -> bool:
        """Whether a folder was not visited under another path before."""
        status = os.stat(self.folder / folder)
        # Some network file systems have no inode numbers: compare the resolved paths instead.
        key: object = (status.st_dev, status.st_ino)
        key = key if status.st_ino else os.path.realpath(self.folder / folder)
        first = self._visited.setdefault(key, folder)
        if first != folder:
            where = first or "the folder itself"
            self.skipped[folder] = f"a link to {where}, which was read before"
        return first == folder


def open_data(path: Path) -> BinaryIO:
    """Opens a regular file or a link to one; other kinds could block or be endless.

    Raises:
        OSError: the file cannot be opened, or is a FIFO, device or socket.
    """
    descriptor = os.open(path, os.O_RDONLY | _SAFELY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"is {_kind(path)}", str(path))
    return open(descriptor, "rb")


def kind_of(mode: int) -> str:
    """Returns the kind of file of a ``stat`` mode in words."""
    for test, words in (
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a link"),
    ):
        if test(mode):
            return words
    return "a file"


def _mode(entry: os.DirEntry[str]) -> int:
    """Returns the file type of an entry or of its link target; 0 if it cannot be determined.

    Avoids ``stat`` where ``scandir`` has already returned the type.
    """
    try:
        if entry.is_dir():
            return stat.S_IFDIR
        return stat.S_IFREG if entry.is_file() else entry.stat().st_mode
    except OSError:
        return 0


def _kind(path: Path) -> str:
    try:
        return kind_of(path.stat().st_mode)
    except OSError:
        return "a link that leads nowhere"


def _scanned(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
