from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from ganforge.data.module import ImageDataModule, at_least
from ganforge.data.sets.digits import Digits
from ganforge.data.sets.mnist import MNIST
from ganforge.data.settings import BatchedSettings
from ganforge.data.source import ImageSource, MemorySource, hash_of
from ganforge.errors import ConfigError
from ganforge.streams import Stream, mix

MODES = 1000


class StackedSource(ImageSource):
    """Images with one digit per channel, composed on read.

    Args:
        digits: single digits, one channel.
        table: int64 [N, 3], indices of the three digits of each image.
        labelled: whether images have labels: 100 a + 10 b + c for digits a, b, c.
    """

    def __init__(self, digits: MemorySource, table: Tensor, labelled: bool = False) -> None:
        assert digits.labels is not None
        self.digits = digits
        self.table = table
        self.labelled = labelled
        self.shape = (3, digits.shape[1], digits.shape[2])
        factors = torch.tensor([100, 10, 1])
        self.labels = (digits.labels[table] * factors).sum(1) if labelled else None

    def __len__(self) -> int:
        return len(self.table)

    def read(self, indices: Tensor) -> Tensor:
        """Returns uint8 [B, 3, H, W] in 0..255."""
        chosen = self.table[indices]
        return self.digits.read(chosen.flatten()).view(len(chosen), *self.shape)

    def subset(self, indices: Tensor) -> StackedSource:
        """Returns the images at ``indices``; the digits are shared."""
        return StackedSource(self.digits, self.table[indices], self.labelled)

    def contents(self) -> str:
        """Returns a hash of the digits and of their combinations."""
        return hash_of(self.digits.contents(), self.table)


class StackedSettings(BatchedSettings, total=False):
    """Keyword arguments that data sets of stacked digits pass to StackedData."""

    size: int
    channels: int
    num_classes: int


class StackedData(ImageDataModule):
    """Images of three random digits, one per channel: 1,000 modes, all equally likely.

    Metz et al. 2017, arXiv:1611.02163; protocol of Lin et al. 2018, arXiv:1712.04086. The
    combinations of digits are the same in every run; the seed only determines their order.

    Args:
        single: the gray digits; each split is composed of the digits of the same split.
        name: name of the data set in runs and tables.
        size: number of training images; the test split has a fifth as many.
        channels: 3.
        num_classes: 1000, the modes; 0 for images without labels.
        **settings: see :class:`ganforge.data.ImageDataModule`.

    Attributes:
        single: the data set of the digits that are stacked.
    """

    def __init__(
        self,
        single: ImageDataModule,
        name: str,
        size: int = 128_000,
        channels: int = 3,
        num_classes: int = 0,
        **settings: Unpack[BatchedSettings],
    ) -> None:
        super().__init__(name, single.image_size, channels, num_classes, **settings)
        if channels != 3:
            raise ConfigError(f"data={name} needs channels=3, one per digit, got {channels}")
        if num_classes not in (0, MODES):
            raise ConfigError(f"num_classes must be 0 or {MODES} with data={name}")
        at_least("size", size, 2)
        self.single = single
        self.stacks = size

    def prepare_data(self) -> None:
        """Downloads the digits if they are missing."""
        self.single.prepare_data()

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        self.single.setup()
        digits = self.single.load()
        counts = {"train": self.stacks, "test": max(self.stacks // 5, 1)}
        return {
            split: self._stacked(split, source, counts[split]) for split, source in digits.items()
        }

    def _stacked(self, split: str, digits: ImageSource, count: int) -> StackedSource:
        assert isinstance(digits, MemorySource)
        generator = torch.Generator().manual_seed(mix(Stream.STACKED, int(split == "test")))
        table = torch.randint(len(digits), (count, 3), generator=generator)
        return StackedSource(digits, table, labelled=self.num_classes > 0)


class StackedDigits(StackedData):
    """Three of scikit-learn's handwritten digits in three channels: 1,000 modes, no download.

    Args:
        name: name of the data set in runs and tables.
        image_size: side of the images.
        **settings: see :class:`ganforge.data.StackedData`.
    """

    def __init__(
        self,
        *,
        name: str = "stacked_digits",
        image_size: int = 32,
        **settings: Unpack[StackedSettings],
    ) -> None:
        super().__init__(Digits(image_size=image_size), name, **settings)


class StackedMNIST(StackedData):
    """Three MNIST digits in three channels: 1,000 modes.

    Args:
        root: folder with torchvision's files; None to download into the cache.
        name: name of the data set in runs and tables.
        image_size: side of the images.
        **settings: see :class:`ganforge.data.StackedData`.
    """

    def __init__(
        self,
        root: str | None = None,
        *,
        name: str = "stacked_mnist",
        image_size: int = 32,
        **settings: Unpack[StackedSettings],
    ) -> None:
        super().__init__(MNIST(root, image_size=image_size), name, **settings)
