from __future__ import annotations

import torch
from torch import Tensor

from ganforge.data.files.source import FileSource
from ganforge.data.files.value_range import Span
from ganforge.data.order import Groups, Order, WindowOrder
from ganforge.data.shards.entries import ShardEntries
from ganforge.data.source import MemorySource


class ShardSource(FileSource):
    """Images in shards, in an order that reads few shards at a time.

    Args:
        entries: the images of all shards.
        names: the images to use, in order.
        image_size: side of the square images.
        channels: 1 gray, 2 gray with alpha, 3 RGB, 4 RGBA.
        labels: int64 [N], or None.
        max_unreadable: number of unreadable images that are skipped.
        span: value range of images that are not 8-bit.
        shuffle: number of images that are shuffled together.
        draft: see :class:`ganforge.data.files.source.FileSource`.
    """

    entries: ShardEntries
    groups: Groups

    def __init__(
        self,
        entries: ShardEntries,
        names: list[str],
        image_size: int,
        channels: int,
        labels: Tensor | None,
        max_unreadable: int,
        span: Span,
        shuffle: int,
        draft: bool = False,
    ) -> None:
        sizes = image_size, channels
        super().__init__(entries, names, *sizes, labels, None, max_unreadable, span, draft)
        self.groups = Groups(entries.shards_of(names), shuffle)

    def read(self, indices: Tensor) -> Tensor:
        """Returns uint8 [B, C, H, W]; images of remote shards are read at the same time."""
        self.entries.fetch(self.names[index] for index in indices.tolist())
        return super().read(indices)

    def read_labelled(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns images and labels; images of remote shards are read at the same time."""
        self.entries.fetch(self.names[index] for index in indices.tolist())
        return super().read_labelled(indices)

    def subset(self, indices: Tensor) -> FileSource:
        """Returns a source of the images at ``indices``."""
        part = super().subset(indices)
        part.groups = self.groups.subset(indices)
        return part

    def order(self, seed: int) -> Order:
        """Returns the order of a run, which copies remote shards before they are read."""
        return WindowOrder(self.groups, seed, self.entries.expect)

    def decoded(self) -> MemorySource:
        """Returns all readable images as one tensor; copies remote shards first."""
        self.entries.obtain(sorted({*self.groups.numbers.tolist()}))
        memory = super().decoded()
        readable = torch.tensor([name not in self.unreadable for name in self.names])
        memory.groups = self.groups.subset(readable.nonzero().flatten())
        return memory
