from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from ganforge.data.module import ImageDataModule, at_least
from ganforge.data.settings import GeneratedSettings
from ganforge.data.source import ImageSource, MemorySource
from ganforge.streams import mix


class FakeImages(ImageDataModule):
    """Random images of any shape, the same in every run: for tests and speed measurements.

    With labels, class c of K is brighter by 128 c / K, so that a classifier can learn it.

    Args:
        size: number of training images; the test split has a quarter as many.
        name: name of the data set in runs and tables.
        num_classes: number of labels; 0 for unlabelled images.
        **settings: see :class:`ganforge.data.ImageDataModule`.
    """

    def __init__(
        self,
        size: int = 1024,
        name: str = "fake",
        num_classes: int = 10,
        **settings: Unpack[GeneratedSettings],
    ) -> None:
        super().__init__(name, num_classes=num_classes, **settings)
        at_least("size", size, 2)
        self.images = size

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        return {"train": self._split(self.images, 0), "test": self._split(self.images // 4 or 1, 1)}

    def _split(self, count: int, split: int) -> MemorySource:
        generator = torch.Generator().manual_seed(mix(split))
        shape = (count, self.channels, self.image_size, self.image_size)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        if not self.num_classes:
            return MemorySource(images)
        labels: Tensor = torch.arange(count) % self.num_classes
        brightness = (labels * 128 // self.num_classes).to(torch.uint8).view(-1, 1, 1, 1)
        return MemorySource(images // 2 + brightness, labels)
