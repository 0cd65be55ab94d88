from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.data.files.pixel_file import PixelFile, Shape
from ganforge.data.files.source import FileSource
from ganforge.data.order import Order
from ganforge.data.source import ImageSource, MemorySource, fits_beside
from ganforge.errors import DamagedError
from ganforge.main_memory import total_memory

_log = logging.getLogger(__name__)
_CHUNK = 64 * 2**20  # bytes that are copied to a device at once
_UNKNOWN = 2**33  # bytes of main memory; assumed on systems that do not report it (Windows)


class CachedSource(ImageSource):
    """Image files that are read from a file of their decoded pixels, once there is one.

    Returns the same bytes with and without that file: an unreadable image is replaced by the next
    readable one, as :class:`FileSource` does.

    Args:
        source: decodes the images.
        path: the file of decoded pixels, which need not exist.
        key: text that identifies these pixels in it.
    """

    def __init__(self, source: FileSource, path: Path, key: str) -> None:
        self.source = source
        self.path = path
        self.key = key
        self.shape = source.shape
        self.labels = source.labels
        self.groups = source.groups
        self._file: PixelFile | None = None
        self._rows: Tensor | None = None  # the image read for each one; None: each for itself

    def __len__(self) -> int:
        return len(self.source)

    @property
    def whole_shape(self) -> Shape:
        """Shape of all images, (N, C, H, W)."""
        return (len(self), *self.shape)

    @property
    def is_open(self) -> bool:
        """Whether images are read from the file of decoded pixels."""
        return self._file is not None

    def open(self) -> bool:
        """Opens the file if it exists; returns whether it is open.

        Raises:
            DataError: more images in it are unreadable than the source tolerates.
        """
        if self._file is None:
            self._file = self._opened()
            if self._file is not None:
                with contextlib.suppress(OSError):  # another user's file in a shared folder
                    os.utime(self.path)  # recently used
                self._skip(self._file.unreadable)
        return self._file is not None

    def read(self, indices: Tensor) -> Tensor:
        """Returns uint8 [B, C, H, W], from the file of decoded pixels if it is open."""
        return self.read_labelled(indices)[0]

    def read_labelled(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns images and labels; a replaced image has the label of its replacement."""
        if self._file is None:
            return self.source.read_labelled(indices)
        rows = indices if self._rows is None else self._rows[indices]
        images = torch.from_numpy(self._file.pixels[rows.numpy()])
        return images, None if self.labels is None else self.labels[rows]

    def order(self, seed: int) -> Order:
        """Returns the order of the source, whether or not its images have been decoded."""
        return super().order(seed) if self.is_open else self.source.order(seed)

    def subset(self, indices: Tensor) -> FileSource:
        """Returns a source of the files at ``indices``, which decodes them."""
        return self.source.subset(indices)

    def contents(self) -> str:
        """Returns the hash of the source, whether or not its images have been decoded."""
        return self.source.contents()

    def loaded(self) -> MemorySource:
        """Returns all readable images in memory, as :meth:`FileSource.decoded` does."""
        assert self._file is not None
        pixels, labels = self._file.pixels, self.labels
        if not self._file.unreadable:
            return MemorySource(torch.from_numpy(pixels.copy()), labels, self.groups)
        valid = np.delete(np.arange(len(self)), list(self._file.unreadable))
        rows = torch.from_numpy(valid)
        kept = None if labels is None else labels[rows]
        groups = None if self.groups is None else self.groups.subset(rows)
        return MemorySource(torch.from_numpy(pixels[valid]), kept, groups)

    def on(self, device: torch.device) -> ImageSource:
        """Returns the images on ``device`` if they take at most a quarter of its free memory."""
        if self._file is None or not fits_beside(self._file.pixels.nbytes, device):
            return self
        images = torch.empty(self.whole_shape, dtype=torch.uint8, device=device)
        step = max(1, _CHUNK // images[0].nbytes)
        for at in range(0, len(self), step):
            rows = torch.arange(at, min(at + step, len(self)))
            images[at : at + step] = self.read(rows).to(device)
        labels = self.labels
        if labels is not None:
            labels = (labels if self._rows is None else labels[self._rows]).to(device)
        return MemorySource(images, labels, self.groups)

    @property
    def is_quick(self) -> bool:
        """Whether images are read from memory: the system holds a file of up to half of it."""
        return (
            self._file is not None and self._file.pixels.nbytes <= (total_memory() or _UNKNOWN) // 2
        )

    def _opened(self) -> PixelFile | None:
        try:
            return PixelFile(self.path, self.key, self.whole_shape)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            _log.warning("%s cannot be read: %s", self.path, error.strerror or error)
        except DamagedError as error:
            _log.warning("%s; it will be recreated", error)
        return None

    def _skip(self, unreadable: dict[int, str]) -> None:
        """Reports unreadable images as at their decoding, and chooses their replacements."""
        for row, reason in unreadable.items():
            self.source.reject(row, reason)
        if unreadable:
            valid = np.delete(np.arange(len(self)), list(unreadable))
            after = np.searchsorted(valid, np.arange(len(self))) % len(valid)
            self._rows = torch.from_numpy(valid[after])

    def __getstate__(self) -> dict[str, Any]:
        # A mapping cannot be sent to a worker process that is not a fork of this one.
        return {**self.__dict__, "_file": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._file = self._opened()


def is_quick(source: ImageSource) -> bool:
    """Whether reading a batch is a copy within memory, for which no other process is needed."""
    return not isinstance(source, FileSource) and getattr(source, "is_quick", True)
