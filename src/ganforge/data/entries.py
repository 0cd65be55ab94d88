"""Where encoded images lie: a folder tree, a zip, a tar. Each lists names and reads bytes."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ganforge.errors import DataError

SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905
)
_TAR_LIMIT = 4 * 2**30


class Entries:
    """Encoded images by name.

    Attributes:
        names: sorted, with ``/`` between folders.
    """

    names: list[str]

    def read(self, name: str) -> bytes:
        """Returns the encoded image ``name``."""
        raise NotImplementedError

    def open(self, name: str) -> BinaryIO:
        """Returns the encoded image ``name`` as a file, of which perhaps only the start is read."""
        return io.BytesIO(self.read(name))

    def stamp(self, name: str) -> str:
        """Returns what changes when the image ``name`` does, and is quick to be had."""
        raise NotImplementedError


class FolderEntries(Entries):
    """Images anywhere under a folder.

    Args:
        folder: an existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = []
        for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(parent, name).relative_to(folder).as_posix() for name in files]
        self.names = sorted(filter(is_image, found))

    def read(self, name: str) -> bytes:
        """Returns the bytes of a file."""
        return (self.folder / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """Returns an open file."""
        return (self.folder / name).open("rb")

    def stamp(self, name: str) -> str:
        """Returns size and time of the last change; "missing" where a file can't be asked."""
        try:
            status = (self.folder / name).stat()
        except OSError:
            return "missing"
        return f"{status.st_size} {status.st_mtime_ns}"


class ZipEntries(Entries):
    """Images in a zip, read without unpacking it.

    Args:
        path: an existing zip file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        self.names = sorted(filter(is_image, self._archive().namelist()))

    def read(self, name: str) -> bytes:
        """Returns the unpacked bytes of a member."""
        return self._archive().read(name)

    def stamp(self, name: str) -> str:
        """Returns size and checksum, as the archive says them."""
        member = self._archive().getinfo(name)
        return f"{member.file_size} {member.CRC}"

    def _archive(self) -> zipfile.ZipFile:
        # One handle for each process: forked loader workers would share a file offset.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}


class TarEntries(Entries):
    """Images in a tar, held in memory as they are encoded: a compressed tar can't be read by name.

    Args:
        path: an existing tar file, compressed or not.
    """

    def __init__(self, path: Path) -> None:
        self._data: dict[str, bytes] = {}
        total = 0
        with tarfile.open(path) as archive:
            for member in archive:
                opened = archive.extractfile(member) if is_image(member.name) else None
                if opened is None:
                    continue
                total += member.size
                if total > _TAR_LIMIT:
                    raise DataError(f"{path} holds over {_TAR_LIMIT >> 30} GB: unpack it first")
                self._data[member.name] = opened.read()
        self.names = sorted(self._data)

    def read(self, name: str) -> bytes:
        """Returns the bytes of a member."""
        return self._data[name]

    def stamp(self, name: str) -> str:
        """Returns size and checksum."""
        return f"{len(self._data[name])} {zlib.crc32(self._data[name])}"


def is_image(name: str) -> bool:
    """Whether a file name has the suffix of an image and is not hidden."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in SUFFIXES


def open_entries(path: Path) -> Entries:
    """Returns the images in a folder or archive, or raises DataError saying what was found."""
    if not path.exists():
        raise DataError(f"{path} does not exist: give a folder, zip or tar of images")
    try:
        entries = _opened(path)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not entries.names:
        raise DataError(f"{path} holds no images: expected files like {' '.join(sorted(SUFFIXES))}")
    return entries


def _opened(path: Path) -> Entries:
    if path.is_dir():
        return FolderEntries(path)
    if zipfile.is_zipfile(path):
        return ZipEntries(path)
    if tarfile.is_tarfile(path):
        return TarEntries(path)
    raise DataError(f"{path} is a file, but no zip or tar: give a folder, zip or tar of images")


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
