from __future__ import annotations

from typing import Unpack

import torch

from ganforge.data.files import bundled
from ganforge.data.images import resize, with_channels
from ganforge.data.module import ImageDataModule
from ganforge.data.settings import SizedSettings
from ganforge.data.source import ImageSource, MemorySource, holdout

_TEST = 297


class Digits(ImageDataModule):
    """The 1,797 handwritten digits that come with scikit-learn, 8x8 gray (Alpaydin, Kaynak 1998).

    The train split has 1,500 images and the test split 297, in proportion to the classes. The test
    split gives an unbiased accuracy of the classifier that scores generated images.

    Args:
        name: name of the data set in runs and tables.
        channels: 1, or 3 for gray as RGB.
        num_classes: 10.
        batch_size: images per discriminator update, over all processes.
        **settings: see :class:`ganforge.data.ImageDataModule`; ``image_size`` is 8 for the
            original size, other sizes are resized.
    """

    classes = tuple("0123456789")

    def __init__(
        self,
        name: str = "digits",
        channels: int = 1,
        num_classes: int = 10,
        batch_size: int = 32,
        **settings: Unpack[SizedSettings],
    ) -> None:
        super().__init__(
            name, channels=channels, num_classes=num_classes, batch_size=batch_size, **settings
        )

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        pixels, targets = bundled.digits()
        # Map 0..16 to 0..255 as floats; `resize` rounds once, after filtering.
        grey = torch.from_numpy(pixels).view(-1, 1, 8, 8) * (255 / 16)
        images = with_channels(resize(grey, self.image_size), self.channels)
        labels = torch.from_numpy(targets).long()
        everything = MemorySource(images, labels)
        train, test = holdout(labels, _TEST)
        return {"train": everything.subset(train), "test": everything.subset(test)}
