"""Reads a tar sequentially from start to end, so that damage anywhere in it is detected."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ganforge.data.files.encoded import megabytes
from ganforge.data.files.folder_entries import open_data
from ganforge.errors import DataError

# Maximum unpacked size of a compressed tar: unpacking this much takes minutes.
MAX_UNPACKED = 64 * 2**30

_BLOCK = 512
_STEP = 2**20
_MAX_READ = 4 * _STEP  # maximum size of a header in bytes: long names take a few kB
_PADDING = 64 * _STEP  # bytes after the end of an uncompressed tar that must be zero
_MAGIC: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"]\0\0": lzma.open,
}


class NotATarError(Exception):
    """A file that does not begin like a tar."""


class _Tape:
    """File object for tarfile: forward only, with a size limit; keeps the last block read."""

    def __init__(self, file: BinaryIO, compressed: bool) -> None:
        self.file = file
        self.compressed = compressed
        self.position = 0
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError(f"a header of {megabytes(size)}")
        self.last = self.file.read(size)
        self.position += len(self.last)
        if self.compressed and self.position > MAX_UNPACKED:
            raise DataError(f"unpacks to over {megabytes(MAX_UNPACKED)}")
        return self.last

    def tell(self) -> int:
        return self.position

    def seek(self, position: int) -> None:
        if position < self.position:
            raise tarfile.ReadError("a header points backwards")
        if not self.compressed:
            self.position = self.file.seek(position)
        while self.position < position:
            if not self.read(min(_STEP, position - self.position)):
                return

    def close(self) -> None:
        self.file.close()


class Tar:
    """Members of a tar, in order.

    Args:
        archive: archive just opened on ``tape``.
        tape: the file that the archive reads.

    Attributes:
        compressed: whether the tar is compressed, so that its members have no place in the file.
    """

    def __init__(self, archive: tarfile.TarFile, tape: _Tape) -> None:
        self.compressed = tape.compressed
        self._archive = archive
        self._tape = tape

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Yields all members.

        Raises:
            DataError: the tar is truncated, has a damaged header, or continues after its end.
            Exception: any exception on damaged data.
        """
        count = 0
        while (member := self._archive.next()) is not None:
            vars(self._archive)["members"].clear()  # tarfile keeps them all: millions fill memory
            yield member
            count += 1
        self._check_end(count)

    def file(self, member: tarfile.TarInfo) -> BinaryIO:
        """Returns the member that was just yielded as a file; read it before the next one."""
        return cast(BinaryIO, self._archive.extractfile(member))

    def _check_end(self, count: int) -> None:
        """Checks why tarfile stopped: it treats a damaged header as the end of the tar."""
        where = f"after {count} members, at byte {self._tape.position - len(self._tape.last):,}"
        if len(self._tape.last) < _BLOCK:
            raise DataError(
                f"truncated {where}: the blocks of zeros that end a tar are missing. Copy it "
                "again, or unpack what is left and set the path to the folder"
            )
        if any(self._tape.last):
            raise DataError(
                f"damaged header {where}; the members after it would be lost. Copy it again, or "
                "unpack what is readable and set the path to the folder"
            )
        self._check_padding(self._tape.position)

    def _check_padding(self, start: int) -> None:
        # Read a compressed tar to its end, where its checksum is verified.
        while self._tape.compressed or self._tape.position < start + _PADDING:
            rest = self._tape.read(_STEP)
            if not rest:
                return
            if rest.count(0) != len(rest):
                raise DataError(
                    "data after the blocks of zeros that end a tar: a damaged header, or several "
                    "tars in one file. Unpack it with `tar --ignore-zeros -xf` and set the path to "
                    "the folder"
                )


@contextmanager
def opened(path: Path) -> Iterator[Tar]:
    """Opens a tar, uncompressed or compressed with gzip, bzip2 or xz.

    Raises:
        NotATarError: the file does not begin like a tar.
        Exception: any exception on damaged data.
    """
    with open_data(path) as raw:
        yield opened_file(raw)


def opened_file(raw: BinaryIO) -> Tar:
    """Returns the tar in an open file, which may be remote; raises as :func:`opened` does."""
    start = raw.read(8)
    raw.seek(0)
    unpack = next((unpack for magic, unpack in _MAGIC.items() if start.startswith(magic)), None)
    file = raw if unpack is None else cast(BinaryIO, unpack(raw, "rb"))
    tape = _Tape(file, compressed=unpack is not None)
    try:
        archive = tarfile.TarFile(fileobj=cast(BinaryIO, tape), mode="r")
    except tarfile.ReadError as error:
        raise NotATarError(str(error)) from error
    return Tar(archive, tape)
