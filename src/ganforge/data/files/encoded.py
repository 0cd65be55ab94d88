"""Encoded images by name: what every folder and archive of images offers, and its bounds."""

from __future__ import annotations

import io
import posixpath
from pathlib import PurePosixPath
from typing import BinaryIO

from ganforge.data.files.large_images import LARGE_BYTES, wait_for_turn
from ganforge.data.files.value_range import Span
from ganforge.errors import DataError

SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905
)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".rar", ".7z")
# 100 million uncompressed pixels with alpha take 400 MB; no image of a training set takes more.
MAX_FILE_BYTES = 512 * 2**20

_STEP = 2**20


class Entries:
    """Encoded images by name.

    Attributes:
        names: sorted, with ``/`` between folders.
        passed_over: why files that look like images, or hold some, are not among ``names``.
        max_bytes: size beyond which :meth:`read` refuses a file, after it is unpacked.
        span: values that become black and white of images that are not 8 bits, where all of a set
            share them; None for each image's own.
    """

    names: list[str]
    passed_over: dict[str, str]
    max_bytes: int = MAX_FILE_BYTES
    span: Span | None = None

    def read(self, name: str) -> bytes:
        """Returns the encoded image ``name``.

        Raises:
            DataError: it is larger than ``max_bytes``.
            Exception: of any kind, where it cannot be read.
        """
        raise NotImplementedError

    def open(self, name: str) -> BinaryIO:
        """Returns the encoded image ``name`` as a file, of which perhaps only the start is read."""
        return io.BytesIO(self.read(name))

    def stamp(self, name: str) -> str:
        """Returns what changes when the image ``name`` does, and is quick to find out."""
        raise NotImplementedError


def is_image(name: str) -> bool:
    """Whether a file name has the suffix of an image and is not hidden."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in SUFFIXES


def is_archive(name: str) -> bool:
    """Whether a file name is that of an archive, whose images are not read, and is not hidden."""
    return name.lower().endswith(ARCHIVE_SUFFIXES) and not PurePosixPath(name).name.startswith(".")


def inner_name(name: str) -> str:
    """Returns the name of an archive's member inside of the archive: ``/a/../b.png`` is ``b.png``.

    Such names are legal, and some programs write them. None of them leads outside. Any other name
    is kept as it is, ``./a.png`` too: the names are part of what identifies a run's images.
    """
    if not name.startswith("/") and ".." not in name.split("/"):
        return name
    return posixpath.normpath(f"/{name}").lstrip("/") + ("/" if name.endswith("/") else "")


def check_size(size: int, most: int) -> None:
    """Refuses an encoded image before it is read, and lets large ones take turns.

    Raises:
        DataError: it is larger than ``most`` bytes.
    """
    if size > most:
        raise DataError(f"is {megabytes(size)}, and an image file may have {megabytes(most)}")
    if size > LARGE_BYTES:
        wait_for_turn()


def read_whole(file: BinaryIO, most: int, step: int = _STEP) -> bytes:
    """Returns all bytes of a file whose declared size may be wrong.

    Args:
        file: open for reading.
        most: bytes that it may hold.
        step: bytes that are read at once.

    Raises:
        DataError: it holds more.
    """
    # One buffer: a list of parts would take twice the memory, and threads would keep theirs.
    whole = io.BytesIO()
    while part := file.read(step):
        whole.write(part)
        if whole.tell() > most:
            raise DataError(f"is over the {megabytes(most)} that an image file may have")
    return whole.getvalue()


def megabytes(count: int) -> str:
    """Returns a size in words, such as "3,072 MB"."""
    return f"{count / 2**20:,.0f} MB" if count >= 2**20 else f"{count:,} bytes"
