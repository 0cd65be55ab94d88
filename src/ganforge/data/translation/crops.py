"""Square crops of images: random ones for training, central ones for evaluation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ganforge.data.order import as_tensor, uniforms
from ganforge.data.source import ImageSource, hash_of
from ganforge.data.stream import Batches, mirrored
from ganforge.streams import Stream, mix


def windows(
    images: Tensor, tops: Tensor, lefts: Tensor, size: int, which: Tensor | None = None
) -> Tensor:
    """Returns [B, C, size, size], windows with the given upper left corners.

    Args:
        images: [N, C, H, W], on any device.
        tops: int64 [B], in 0 ... H - size.
        lefts: int64 [B], in 0 ... W - size.
        size: side of the windows.
        which: int64 [B], the image of each window; None for one window of each image, B = N.
    """
    every = images.unfold(2, size, 1).unfold(3, size, 1)  # a view: nothing is copied yet
    device = images.device
    rows = torch.arange(len(images)) if which is None else which
    return every[rows.to(device), :, tops.to(device), lefts.to(device)]


def random_windows(images: Tensor, seed: int, positions: range, size: int) -> Tensor:
    """Returns [B, C, size, size], random windows as a function of (seed, position)."""
    height, width = images.shape[-2:]
    if height == width == size:
        return images
    numbers = as_tensor(positions)
    tops = uniforms(mix(seed, Stream.TOP), numbers) * (height - size + 1)
    lefts = uniforms(mix(seed, Stream.LEFT), numbers) * (width - size + 1)
    return windows(images, tops.long(), lefts.long(), size)


class CroppedBatches(Batches):
    """Maps positions of the order to windows, cropped and flipped as a function of the position.

    Images that need the same crop and flip are stacked as channels of one image and split at the
    end.

    Args:
        source: the images.
        seed: seed of the order, the crops and the flips.
        size: side of the windows.
        mirror: flip each sample horizontally with probability 1/2.
        channels: number of channels of each entry of the batch, in order.
    """

    def __init__(
        self, source: ImageSource, seed: int, size: int, mirror: bool, channels: dict[str, int]
    ) -> None:
        super().__init__(source, seed, mirror)
        self.size = size
        self.channels = channels

    def __getitem__(self, positions: range) -> dict[str, Tensor]:
        """Returns the entries of the batch, each uint8 [B, C, size, size]."""
        images = self.source.read(self.order.indices(positions))
        images = random_windows(images, self.seed, positions, self.size)
        if self.mirror:
            images = mirrored(images, self.seed, positions)
        parts = torch.split(images, list(self.channels.values()), dim=1)
        return {name: part.contiguous() for name, part in zip(self.channels, parts, strict=True)}


class MergedBatches(Dataset[dict[str, Tensor]]):
    """Batches with the entries of several data sets, each with its own order.

    Args:
        parts: data sets whose batches have entries with different names.
    """

    def __init__(self, parts: list[CroppedBatches]) -> None:
        self.parts = parts

    def __getitem__(self, positions: range) -> dict[str, Tensor]:
        """Returns the entries of all parts, each at these positions of its own order."""
        return {name: images for part in self.parts for name, images in part[positions].items()}


class CentralSource(ImageSource):
    """A range of channels of the central squares of images.

    Args:
        source: the images.
        first: index of the first channel.
        channels: number of channels.
        size: side of the squares.
    """

    labels: Tensor | None = None

    def __init__(self, source: ImageSource, first: int, channels: int, size: int) -> None:
        self.source = source
        self.first = first
        self.shape = (channels, size, size)

    def __len__(self) -> int:
        return len(self.source)

    def read(self, indices: Tensor) -> Tensor:
        """Returns uint8 [B, channels, size, size]."""
        channels, size, _ = self.shape
        _, height, width = self.source.shape
        top, left = (height - size) // 2, (width - size) // 2
        images = self.source.read(indices)[:, self.first : self.first + channels]
        return images[..., top : top + size, left : left + size].contiguous()

    def subset(self, indices: Tensor) -> CentralSource:
        """Returns the squares at ``indices``."""
        channels, size, _ = self.shape
        return CentralSource(self.source.subset(indices), self.first, channels, size)

    def contents(self) -> str:
        """Returns a hash of the images, the channels and the shape."""
        return hash_of(self.source.contents(), f"{self.first} {self.shape}")
