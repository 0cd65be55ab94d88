from __future__ import annotations

import torch

from ganforge.data.image_data import ImageDataModule
from ganforge.data.images import resize, with_channels
from ganforge.data.source import ImageSource, MemorySource, holdout

_TEST = 297


class Digits(ImageDataModule):
    """The 1,797 handwritten digits that come with scikit-learn, 8x8 grey (Alpaydin, Kaynak 1998).

    1,500 train, 297 are held out, each class by its share: a classifier that scores generated
    images needs an honest accuracy more than the game needs the last sixth of its images.

    Args:
        name: what runs and tables call the data set.
        image_size: 8 for the images as they are; others are resized smoothly.
        channels: 1, or 3 for grey as RGB.
        num_classes: 10.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; 0 is the quickest.
        seed: the run's seed.
        mirror: flip images at random.
        max_images: train on that many images only.
    """

    classes = tuple("0123456789")

    def __init__(
        self,
        name: str = "digits",
        image_size: int = 32,
        channels: int = 1,
        num_classes: int = 10,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        mirror: bool = False,
        max_images: int | None = None,
    ) -> None:
        super().__init__(
            name, image_size, channels, num_classes, batch_size, workers, seed, mirror, max_images
        )

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        from sklearn.datasets import load_digits

        pixels, targets = load_digits(return_X_y=True)
        # Values 0..16 as 0..255, rounded once, after the filter.
        grey = torch.from_numpy(pixels).view(-1, 1, 8, 8) * (255 / 16)
        images = with_channels(resize(grey, self.image_size), self.channels)
        labels = torch.from_numpy(targets).long()
        everything = MemorySource(images, labels)
        train, test = holdout(labels, _TEST)
        return {"train": everything.subset(train), "test": everything.subset(test)}
