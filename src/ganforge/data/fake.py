from __future__ import annotations

import torch
from torch import Tensor

from ganforge.data.image_data import ImageDataModule
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import ConfigError
from ganforge.streams import mix


class FakeImages(ImageDataModule):
    """Random images of any shape, always the same ones: for tests and for measuring speed.

    With labels, class c of K is brighter by c / K of the range, so that a classifier can learn it.

    Args:
        size: number of training images; a quarter as many are held out.
        name: what runs and tables call the data set.
        image_size: side of the square images.
        channels: 1 to 4.
        num_classes: number of labels; 0 for unlabelled images.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; 0 is the quickest.
        seed: the run's seed, which decides their order and not the images.
        mirror: flip images at random.
        max_images: train on that many images only.
    """

    def __init__(
        self,
        size: int = 1024,
        name: str = "fake",
        image_size: int = 32,
        channels: int = 3,
        num_classes: int = 10,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        mirror: bool = False,
        max_images: int | None = None,
    ) -> None:
        super().__init__(
            name, image_size, channels, num_classes, batch_size, workers, seed, mirror, max_images
        )
        if size < 2:
            raise ConfigError(f"size must be at least 2, got {size}")
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
