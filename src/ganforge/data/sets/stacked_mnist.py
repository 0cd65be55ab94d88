from __future__ import annotations

from typing import Unpack

from ganforge.data.sets.mnist import MNIST
from ganforge.data.sets.stacked import StackedData, StackedSettings


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
