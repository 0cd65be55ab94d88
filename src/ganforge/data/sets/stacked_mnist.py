from __future__ import annotations

from typing import Unpack

from ganforge.data.sets.mnist import MNIST
from ganforge.data.sets.stacked import StackedData, StackedSettings


class StackedMNIST(StackedData):
    """Three digits of MNIST in three channels: 1,000 modes.

    Args:
        root: where torchvision's files lie; None for a download into the cache.
        name: what runs and tables call the data set.
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
        super().__init__(single=MNIST(root=root, image_size=image_size), name=name, **settings)
