from __future__ import annotations

from typing import Unpack

from ganforge.data.sets.mnist import MNIST
from ganforge.data.settings import GreySettings


class FashionMNIST(MNIST):
    """Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 60,000 + 10,000 clothes, 28x28 gray.

    Args:
        root: folder with torchvision's files; None to download into the cache.
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.MNIST`.
    """

    option = "fashion_mnist"
    dataset = "FashionMNIST"
    home = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )

    def __init__(
        self,
        root: str | None = None,
        name: str = "fashion_mnist",
        **settings: Unpack[GreySettings],
    ) -> None:
        super().__init__(root, name, **settings)
