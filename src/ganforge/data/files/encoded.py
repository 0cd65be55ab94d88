"""Interface of folders and archives of encoded images, and limits on their sizes."""

from __future__ import annotations

import io
import posixpath
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO

from ganforge.data.files.value_range import Span
from ganforge.errors import DataError
from ganforge.plain_text import one_line

SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905
)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".rar", ".7z")
# 100 million uncompressed RGBA pixels take 400 MB, and no training image may have more.
MAX_FILE_BYTES = 512 * 2**20

_STEP = 2**20
LARGE_BYTES = 32 * 2**20  # encoded size
LARGE_PIXELS = 2**24  # decoded size, 64 MB as RGBA
# Reentrant: an image that is large both encoded and decoded acquires the lock twice.
_turn = threading.RLock()
_held = threading.local()


class UnreachableError(DataError):
    """An image in remote storage that cannot be read now.

    Unlike a damaged image, it is never replaced by another one: the images of a run would depend
    on the state of the network.
    """


class Entries:
    """Encoded images, accessed by name.

    Attributes:
        names: sorted names, with ``/`` between folders.
        skipped: reasons why image-like files and nested archives are not in ``names``.
        class_files: number of files that hold the class of an image, as in tars for WebDataset.
        max_bytes: largest unpacked size that :meth:`read` accepts.
        span: common value range of images that are not 8-bit; None for the range of each image.
    """

    names: list[str]
    span: Span | None = None

    def __init__(self, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.skipped: dict[str, str] = {}
        self.class_files = 0

    def read(self, name: str) -> bytes:
        """Returns the encoded image ``name``.

        Raises:
            DataError: the image is larger than ``max_bytes``.
            UnreachableError: the image is in remote storage, which cannot be read.
            Exception: any exception if the image cannot be read.
        """
        raise NotImplementedError

    def fetch(self, names: Iterable[str]) -> None:
        """Announces that ``names`` will be read next, so that remote ones can be read together."""

    def open(self, name: str) -> BinaryIO:
        """Returns the encoded image ``name`` as a file object, to read only its header."""
        return io.BytesIO(self.read(name))

    def stamp(self, name: str) -> str:
        """Returns a cheap stamp that changes with the image, such as size and time or checksum."""
        raise NotImplementedError

    def _accepts(self, name: str, archive: str = "an archive in the archive") -> bool:
        """Whether a file is an image; records a nested archive in ``skipped``."""
        if is_archive(name):
            self.skipped[name] = archive
        self.class_files += name.endswith(".cls")
        return is_image(name)


def is_image(name: str) -> bool:
    """Whether a file name has the suffix of an image and is not hidden."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in SUFFIXES


def is_archive(name: str) -> bool:
    """Whether a file name has the suffix of an archive and is not hidden."""
    return name.lower().endswith(ARCHIVE_SUFFIXES) and not PurePosixPath(name).name.startswith(".")


def inner_name(name: str) -> str:
    """Returns a normalized member name: ``/a/../b.png`` becomes ``b.png``.

    Some programs write such names, and they are legal. The result never points outside of the
    archive. Any other name is kept, ``./a.png`` too: names are part of what identifies a run's
    images.
    """
    if not name.startswith("/") and ".." not in name.split("/"):
        return name
    return posixpath.normpath(f"/{name}").lstrip("/") + ("/" if name.endswith("/") else "")


def check_size(size: int, most: int) -> None:
    """Checks the size of an encoded image before it is read; serializes reading of large images.

    Raises:
        DataError: the image is larger than ``most`` bytes.
    """
    if size > most:
        raise DataError(f"is {megabytes(size)}; an image file may have at most {megabytes(most)}")
    if size > LARGE_BYTES:
        wait_for_slot()


def read_whole(file: BinaryIO, most: int, step: int = _STEP) -> bytes:
    """Returns all bytes of a file whose declared size may be wrong.

    Args:
        file: a file open for reading.
        most: maximum number of bytes.
        step: bytes per read.

    Raises:
        DataError: the file is longer than ``most``.
    """
    # One buffer: joining a list of parts would take twice the memory in each thread.
    whole = io.BytesIO()
    while part := file.read(step):
        whole.write(part)
        if whole.tell() > most:
            raise DataError(f"is larger than {megabytes(most)}, the maximum for an image file")
    return whole.getvalue()


def megabytes(count: int) -> str:
    """Returns a size as text, such as "3,072 MB"."""
    return f"{count / 2**20:,.0f} MB" if count >= 2**20 else f"{count:,} bytes"


def first_of(texts: Sequence[str], most: int) -> str:
    """Returns the first texts, on one line, and the number of further ones: "a, b and 3 more"."""
    more = len(texts) - most
    return ", ".join(map(one_line, texts[:most])) + (f" and {more} more" if more > 0 else "")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Releases the lock at the end of the block if :func:`wait_for_slot` acquired it inside."""
    _held.count = 0
    try:
        yield
    finally:
        for _ in range(_held.count):
            _turn.release()
        del _held.count


def wait_for_slot() -> None:
    """Blocks until no other thread holds a large image; no-op outside of :func:`one_at_a_time`."""
    if hasattr(_held, "count"):
        _turn.acquire()
        _held.count += 1
