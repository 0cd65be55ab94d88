"""Decodes image files into a file of pixels, with one process per core."""

from __future__ import annotations

import errno
import logging
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from ganforge import atomic
from ganforge.cores import Cores
from ganforge.data.files.cached import CachedSource
from ganforge.data.files.encoded import megabytes
from ganforge.data.files.pixel_file import write_footer
from ganforge.data.files.source import FileSource
from ganforge.data.stream import TIMEOUT, leave_signals_to_parent
from ganforge.errors import DataError

_BLOCK = 256  # images that a process decodes at a time,
_BLOCK_BYTES = 16 * 2**20  # unless they take more than this
_EACH = 1000  # images for which one more process pays off
_SECONDS = 10.0  # between two messages
_log = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """The outcome of one block.

    Attributes:
        images: number of images in the block.
        unreadable: reasons by index.
        error: number of the system's error if the pixels could not be written; otherwise 0.
    """

    images: int
    unreadable: dict[int, str]
    error: int


class Blocks(Dataset[Decoded]):
    """Decodes a block of consecutive images and writes its pixels where they belong.

    Args:
        source: the images.
        path: the file, which the processes write at disjoint places.
        size: images per block.
    """

    def __init__(self, source: FileSource, path: Path, size: int) -> None:
        self.source = source
        self.path = path
        self.size = size

    def __len__(self) -> int:
        return math.ceil(len(self.source) / self.size)

    def __getitem__(self, block: int) -> Decoded:
        """Returns which images of the block are unreadable; their pixels are left 0."""
        start = block * self.size
        rows = range(start, min(start + self.size, len(self.source)))
        pixels = bytearray(len(rows) * math.prod(self.source.shape))
        unreadable = {}
        for at, row in enumerate(rows):
            image = self.source.attempt(row)
            if isinstance(image, str):
                unreadable[row] = image
            else:
                pixels[at * image.nbytes : (at + 1) * image.nbytes] = image.numpy().tobytes()
        try:
            # Not through a mapping, which ends the process if the disk is full.
            with self.path.open("r+b", buffering=0) as file:
                file.seek(start * math.prod(self.source.shape))
                _write_all(file, pixels)
        except OSError as error:
            return Decoded(len(rows), unreadable, error.errno or errno.EIO)
        return Decoded(len(rows), unreadable, 0)


def fill(cached: CachedSource, label: str) -> None:
    """Decodes all images of a source into its file, which appears when it is complete.

    Args:
        cached: the source.
        label: start of messages, such as "data=celeba".

    Raises:
        DataError: too many images are unreadable, or all are.
        OSError: the file cannot be written.
        RuntimeError: a process was killed.
    """
    source = cached.source
    with atomic.writing(cached.path) as file:
        unreadable: dict[int, str] = {}
        for done in _with_progress(_decoded(source, Path(file.name)), len(source), label):
            if done.error:
                raise OSError(done.error, os.strerror(done.error), str(cached.path))
            for row, reason in done.unreadable.items():
                source.reject(row, reason)
            unreadable |= done.unreadable
        if len(unreadable) == len(source):
            raise DataError(source.report("all images are unreadable"))
        write_footer(file, cached.key, cached.whole_shape, unreadable)
    source.unreadable.clear()  # counted again when the file is opened
    size = megabytes(math.prod(cached.whole_shape))
    _log.info("%s: %s decoded images, %s, in %s", label, f"{len(source):,}", size, cached.path)


def _decoded(source: FileSource, path: Path) -> Iterator[Decoded]:
    size = max(1, min(_BLOCK, _BLOCK_BYTES // math.prod(source.shape)))
    blocks = Blocks(source, path, size)
    processes = min(Cores.find().count, len(source) // _EACH)
    if processes < 2:
        yield from (blocks[block] for block in range(len(blocks)))
        return
    yield from DataLoader(
        blocks,
        batch_size=None,
        num_workers=processes,
        collate_fn=_unchanged,
        timeout=TIMEOUT,
        worker_init_fn=leave_signals_to_parent,
        generator=torch.Generator(),  # leaves the global one as it is
    )


def _with_progress(parts: Iterator[Decoded], images: int, label: str) -> Iterator[Decoded]:
    """Yields the parts and logs every ten seconds how many images are decoded."""
    done, start = 0, time.monotonic()
    last = start
    for part in parts:
        yield part
        done += part.images
        now = time.monotonic()
        if now - last >= _SECONDS and done < images:
            last, left = now, (now - start) / done * (images - done)
            counts = f"{done:,} of {images:,}"
            _log.info("%s: decoded %s images, %.0f s left", label, counts, left)


def _write_all(file: Any, data: bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _unchanged(part: Any) -> Any:
    return part
