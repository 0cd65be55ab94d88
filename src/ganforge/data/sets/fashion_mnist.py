from __future__ import annotations

from torchvision import datasets

from ganforge.data.module import ImageDataModule
from ganforge.data.sets.idx import idx_origin, load_idx
from ganforge.data.source import ImageSource


class FashionMNIST(ImageDataModule):
    """Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 60,000 + 10,000 clothes, 28x28 grey.

    Args:
        root: folder with torchvision's files; None to download into the cache.
        name: name of the data set in runs and tables.
        image_size: 28 for the original size, 32 to add a black border; other sizes are resized.
        channels: 1, or 3 for grey as RGB.
        num_classes: 10.
        batch_size: images per discriminator update, over all processes.
        workers: loader processes; 0 is fastest.
        seed: seed of the run.
        mirror: flip training images horizontally with probability 1/2.
        max_images: number of images to train on; None for all.
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
        """Downloads the files if they are missing."""
        self.origin.obtain(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        folder = self.origin.folder(self.root)
        if not self.origin.present(folder):
            raise self.origin.missing(self.root)
        return load_idx(folder, "FashionMNIST", self.image_size, self.channels)
