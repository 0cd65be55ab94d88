from __future__ import annotations

from typing import Unpack

from torchvision import datasets

from ganforge.data.module import ImageDataModule
from ganforge.data.sets.idx import idx_origin, load_idx
from ganforge.data.settings import MirroredSettings
from ganforge.data.source import ImageSource


class MNIST(ImageDataModule):
    """MNIST (LeCun et al. 1998): 60,000 + 10,000 handwritten digits, 28x28 grey.

    Args:
        root: where torchvision's files lie; None for a download into the cache.
        name: what runs and tables call the data set.
        image_size: 28 for the images as they are, 32 with a black border; others are resized.
        channels: 1, or 3 for grey as RGB.
        num_classes: 10.
        batch_size: images of one critic update, over all processes.
        **settings: see :class:`ganforge.data.ImageDataModule`.

    Attributes:
        option: what the data set is called in conf/data and in the cache.
        dataset: torchvision's class of it.
    """

    option: str = "mnist"
    dataset: type[datasets.MNIST] = datasets.MNIST
    classes = tuple("0123456789")

    def __init__(
        self,
        root: str | None = None,
        name: str = "mnist",
        image_size: int = 32,
        channels: int = 1,
        num_classes: int = 10,
        batch_size: int = 32,
        **settings: Unpack[MirroredSettings],
    ) -> None:
        super().__init__(
            name=name,
            image_size=image_size,
            channels=channels,
            num_classes=num_classes,
            batch_size=batch_size,
            **settings,
        )
        self.root = root
        self.origin = idx_origin(self.option, self.dataset)

    def prepare_data(self) -> None:
        """Downloads the files where they are missing."""
        self.origin.obtain(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        folder = self.origin.folder(self.root)
        if not self.origin.present(folder):
            raise self.origin.missing(self.root)
        return load_idx(folder, self.dataset.__name__, self.image_size, self.channels)
