from __future__ import annotations

from ganforge.data.mnist import MNIST
from ganforge.data.stacked import StackedData


class StackedMNIST(StackedData):
    """Three digits of MNIST in three channels: 1,000 modes.

    Args:
        root: where torchvision's files lie; None for a download into the cache.
        size: number of training images.
        name: what runs and tables call the data set.
        image_size: side of the images.
        channels: 3.
        num_classes: 1000, the modes; 0 for images without labels.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; 0 is the quickest.
        seed: the run's seed.
        mirror: flip images at random.
        max_images: train on that many images only.
    """

    def __init__(
        self,
        root: str | None = None,
        size: int = 128_000,
        name: str = "stacked_mnist",
        image_size: int = 32,
        channels: int = 3,
        num_classes: int = 0,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        mirror: bool = False,
        max_images: int | None = None,
    ) -> None:
        super().__init__(
            single=MNIST(root=root, image_size=image_size),
            name=name,
            size=size,
            channels=channels,
            num_classes=num_classes,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            mirror=mirror,
            max_images=max_images,
        )
