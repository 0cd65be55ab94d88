from __future__ import annotations

import copy
import logging
from typing import Any

import torch
from torch import Tensor

from ganforge.cores import thread_per_core
from ganforge.data.files.decoding import decode, reason_of
from ganforge.data.files.encoded import Entries, UnreachableError, one_at_a_time
from ganforge.data.files.value_range import ONLY_BYTES, Span
from ganforge.data.source import ImageSource, MemorySource, hash_of
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_log = logging.getLogger(__name__)


class FileSource(ImageSource):
    """Encoded images, decoded on read.

    An unreadable file is reported once and replaced by the next readable one. :meth:`decoded`
    leaves it out instead.

    Args:
        entries: reads encoded images.
        names: the images to use, in order.
        image_size: side of the square images.
        channels: 1 gray, 2 gray with alpha, 3 RGB, 4 RGBA.
        labels: int64 [N], or None.
        crop: side of the central square before resizing; None for the shorter side.
        max_unreadable: number of unreadable files that are skipped; more raise DataError.
        span: value range of images that are not 8-bit.
        draft: decode JPEGs at a fraction of their size where that suffices.
    """

    def __init__(
        self,
        entries: Entries,
        names: list[str],
        image_size: int,
        channels: int,
        labels: Tensor | None = None,
        crop: int | None = None,
        max_unreadable: int = 10,
        span: Span = ONLY_BYTES,
        draft: bool = False,
    ) -> None:
        self.entries = entries
        self.names = names
        self.image_size = image_size
        self.channels = channels
        self.labels = labels
        self.crop = crop
        self.max_unreadable = max_unreadable
        self.span = span
        self.draft = draft
        self.shape = (channels, image_size, image_size)
        self.unreadable: dict[str, str] = {}
        self._contents: str | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Tensor) -> Tensor:
        """Returns uint8 [B, C, H, W], decoded from the files at ``indices``."""
        return torch.stack([self._readable(index)[1] for index in indices.tolist()])

    def read_labelled(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns images and labels; a replaced image has the label of its replacement."""
        readable = [self._readable(index) for index in indices.tolist()]
        images = torch.stack([image for _, image in readable])
        if self.labels is None:
            return images, None
        return images, self.labels[torch.tensor([index for index, _ in readable])]

    def subset(self, indices: Tensor) -> FileSource:
        """Returns a source of the files at ``indices``."""
        part = copy.copy(self)
        part.names = [self.names[index] for index in indices.tolist()]
        part.labels = None if self.labels is None else self.labels[indices]
        part.unreadable = {}
        part._contents = None
        return part

    def contents(self) -> str:
        """Returns a hash of the labels and of the files' names and stamps, not of their bytes."""
        if self._contents is None:
            stamps = [f"{name} {self.entries.stamp(name)}" for name in self.files()]
            self._contents = hash_of("\n".join(stamps), self.labels)
        return self._contents

    def decoding(self) -> dict[str, Any]:
        """Returns all settings that change pixels, as values of JSON."""
        return {
            "kind": type(self).__name__,
            "shape": self.shape,
            "crop": self.crop,
            "span": repr(self.span),
            "draft": self.draft,
        }

    def files(self) -> list[str]:
        """Returns the names of all files that the source reads."""
        return self.names

    def decode(self, name: str) -> Tensor:
        """Returns uint8 [C, H, W] of one file; raises any exception if the file is damaged."""
        data = self.entries.read(name)
        return decode(data, self.image_size, self.channels, self.crop, self.span, self.draft)

    def decoded(self) -> MemorySource:
        """Returns all readable images as one tensor, decoded with one thread per processor."""
        images = torch.empty((len(self), *self.shape), dtype=torch.uint8)
        valid = torch.zeros(len(self), dtype=torch.bool)

        def fill(index: int) -> None:
            image = self._attempt(index)
            if image is not None:
                images[index] = image
                valid[index] = True

        with thread_per_core() as threads:
            for _ in threads.map(fill, range(len(self))):
                pass
        if not valid.any():
            raise DataError(self.report("all images are unreadable"))
        if valid.all():
            return MemorySource(images, self.labels)
        return MemorySource(images[valid], None if self.labels is None else self.labels[valid])

    def _readable(self, index: int) -> tuple[int, Tensor]:
        """Returns the first readable image at or after ``index``, with its index."""
        for distance in range(len(self)):
            candidate = (index + distance) % len(self)
            image = self._attempt(candidate)
            if image is not None:
                return candidate, image
        raise DataError(self.report("all images are unreadable"))

    def attempt(self, index: int) -> Tensor | str:
        """Returns uint8 [C, H, W] of one image, or the reason why it is unreadable."""
        try:
            with one_at_a_time():
                return self.decode(self.names[index])
        except UnreachableError:
            raise
        except Exception as error:  # decoders raise exceptions of any type on damaged data
            return reason_of(error)

    def reject(self, index: int, reason: str) -> None:
        """Reports an unreadable image; raises DataError if there are too many."""
        name = self.names[index]
        self.unreadable[name] = reason
        _log.warning("skipped unreadable image %s: %s", one_line(name), reason)
        if len(self.unreadable) > self.max_unreadable:
            fault = f"more than max_unreadable={self.max_unreadable} images are unreadable"
            raise DataError(self.report(fault))

    def report(self, fault: str) -> str:
        """Returns a message with the first unreadable images."""
        listed = [
            f"  {one_line(name)}: {reason}" for name, reason in list(self.unreadable.items())[:10]
        ]
        return "\n".join([f"{fault} of {len(self)}:", *listed])

    def _attempt(self, index: int) -> Tensor | None:
        if self.names[index] in self.unreadable:
            return None
        image = self.attempt(index)
        if isinstance(image, str):
            self.reject(index, image)
            return None
        return image
