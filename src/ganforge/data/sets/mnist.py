from __future__ import annotations

from typing import Unpack

from torchvision import datasets

from ganforge.data.module import ImageDataModule
from ganforge.data.sets.idx import idx_origin, load_idx
from ganforge.data.settings import SizedSettings
from ganforge.data.source import ImageSource


class MNIST(ImageDataModule):
    """MNIST (LeCun et al. 1998): 60,000 + 10,000 handwritten digits, 28x28 grey.

    Args:
        root: folder with torchvision's files; None to download into the cache.
        name: name of the data set in runs and tables.
        channels: 1, or 3 for grey as RGB.
        num_classes: 10.
        batch_size: images per discriminator update, over all processes.
        **settings: see :class:`ganforge.data.ImageDataModule`; ``image_size`` is 28 for the
            original size, 32 to add a black border, other sizes are resized.

    Attributes:
        option: name of the data set in ``conf/data`` and in the cache.
        dataset: torchvision's class for the data set.
    """

    option: str = "mnist"
    dataset: type[datasets.MNIST] = datasets.MNIST
    classes = tuple("0123456789")

    def __init__(
        self,
        root: str | None = None,
        name: str = "mnist",
        channels: int = 1,
        num_classes: int = 10,
        batch_size: int = 32,
        **settings: Unpack[SizedSettings],
    ) -> None:
        super().__init__(
            name, channels=channels, num_classes=num_classes, batch_size=batch_size, **settings
        )
        self.root = root
        self.origin = idx_origin(self.option, self.dataset)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        name = self.dataset.__name__
        return load_idx(self.located(), name, self.image_size, self.channels)
