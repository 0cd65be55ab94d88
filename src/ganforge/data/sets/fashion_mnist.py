from __future__ import annotations

from torchvision import datasets

from ganforge.data.module import ImageDataModule
from ganforge.data.sets.idx import idx_origin, load_idx
from ganforge.data.source import ImageSource


class FashionMNIST(ImageDataModule):
    """Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 60,000 + 10,000 clothes, 28x28 grey.

    Args:
        root: where torchvision's files lie; None for a download into the cache.
        name: what runs and tables call the data set.
        image_size: 28 for the images as they are, 32 with a black border; others are resized.
        channels: 1, or 3 for grey as RGB.
        num_classes: 10.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; 0 is the quickest.
        seed: the run's seed.
        mirror: flip images at random.
        max_images: train on that many images only.
    """

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
        self.root = root
        self.origin = idx_origin("fashion_mnist", datasets.FashionMNIST)

    def prepare_data(self) -> None:
        """Downloads the files where they are missing."""
        self.origin.obtain(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        folder = self.origin.folder(self.root)
        if not self.origin.present(folder):
            raise self.origin.missing(self.root)
        return load_idx(folder, "FashionMNIST", self.image_size, self.channels)
