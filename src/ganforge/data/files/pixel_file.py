"""Format of a file of decoded images: the pixels of all images, then a footer.

The pixels are N x C x H x W bytes, in C order. The footer is a JSON object, followed by its CRC-32
(4 bytes), its length (8 bytes), both little endian, and the magic number. It is written last, so
that a file without it is incomplete, and it holds the key that the file was written for.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ganforge.errors import DamagedError
from ganforge.file_locks import try_lock
from ganforge.regular_files import open_regular

Shape = tuple[int, int, int, int]

SUFFIX = ".images"
_MAGIC = b"GFIMAGE1"
_END = struct.Struct("<IQ8s")
_MOST_FOOTER = 64 * 2**20


class PixelFile:
    """A complete file of decoded images, mapped into memory. Reading it needs no copy in memory.

    The file is locked as in use while the object exists.

    Attributes:
        pixels: uint8 [N, C, H, W], not writable.
        unreadable: the reason why each unreadable image has no pixels, by index.
    """

    def __init__(self, path: Path, key: str, shape: Shape) -> None:
        """Opens a file.

        Raises:
            OSError: the file cannot be opened.
            DamagedError: it is incomplete, damaged, or was written for another key.
        """
        self._file = open(open_regular(path), "rb")  # noqa: SIM115
        try_lock(self._file.fileno(), shared=True)
        try:
            footer = _read_footer(self._file, math.prod(shape))
            if footer["key"] != key or footer["shape"] != [*shape]:
                raise ValueError("it was written for other images")
            reasons = {int(row): str(reason) for row, reason in footer["unreadable"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            self._file.close()
            raise DamagedError(f"{path}: {error}") from error
        self.unreadable = reasons
        whole = mmap.mmap(self._file.fileno(), math.prod(shape), access=mmap.ACCESS_READ)
        self.pixels: NDArray[np.uint8] = np.frombuffer(whole, np.uint8).reshape(shape)


def write_footer(file: BinaryIO, key: str, shape: Shape, unreadable: dict[int, str]) -> None:
    """Completes a file whose pixels have been written.

    Args:
        file: the file, open for writing.
        key: text that the file can be opened with.
        shape: (N, C, H, W).
        unreadable: reasons by index, as in :class:`PixelFile`.
    """
    footer = json.dumps({"key": key, "shape": shape, "unreadable": unreadable}).encode()
    file.seek(math.prod(shape))
    file.write(footer + _END.pack(zlib.crc32(footer), len(footer), _MAGIC))


def _read_footer(file: BinaryIO, pixels: int) -> Any:
    size = os.fstat(file.fileno()).st_size
    if not pixels + _END.size < size <= pixels + _END.size + _MOST_FOOTER:
        raise ValueError("it is incomplete")
    file.seek(size - _END.size)
    checksum, length, magic = _END.unpack(file.read(_END.size))
    if magic != _MAGIC or length != size - _END.size - pixels:
        raise ValueError("it is incomplete")
    file.seek(pixels)
    footer = file.read(length)
    if zlib.crc32(footer) != checksum:
        raise ValueError("it is damaged")
    return json.loads(footer)
