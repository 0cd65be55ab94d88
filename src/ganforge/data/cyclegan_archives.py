from __future__ import annotations

from ganforge.data.archives import archive_origin, archive_place
from ganforge.data.domains import load_both
from ganforge.data.entries import open_entries
from ganforge.data.source import ImageSource
from ganforge.data.translation_data import TranslationData

_URL = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{}.zip"
ARCHIVES = {
    "horse2zebra": _URL.format("horse2zebra"),
    "monet2photo": _URL.format("monet2photo"),
    "summer2winter": _URL.format("summer2winter_yosemite"),
}


class CycleGANArchive(TranslationData):
    """A data set that the authors of CycleGAN offer: ``trainA``, ``trainB``, ``testA``, ``testB``.

    Zhu et al. 2017, arXiv:1703.10593.

    Args:
        root: where the data set lies, as a folder or the original archive; None for a download
            into the cache.
        name: which data set: horse2zebra, monet2photo or summer2winter.
        image_size: side of the windows that networks are given.
        load_size: side to which an image is resized, stretched, before a window is cut out.
        input_channels: 1 grey, 3 RGB (transparency laid on white), 2 and 4 the same with alpha.
        channels: of the targets, likewise.
        num_classes: 0.
        direction: "AtoB" if A is the input and B the target, "BtoA" for the opposite.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; None for 0 with images in memory and up to 4 with streams.
        seed: the run's seed.
        mirror: flip images at random.
        max_images: train on that many images only of each domain.
        in_memory: whether files are decoded at the start; "auto" up to ``memory_limit_mb``.
        memory_limit_mb: see ``in_memory``.
        max_unreadable: unreadable images that are listed and skipped of each split.
    """

    def __init__(
        self,
        root: str | None = None,
        name: str = "horse2zebra",
        image_size: int = 256,
        load_size: int = 286,
        input_channels: int = 3,
        channels: int = 3,
        num_classes: int = 0,
        direction: str = "AtoB",
        batch_size: int = 1,
        workers: int | None = None,
        seed: int = 0,
        mirror: bool = True,
        max_images: int | None = None,
        in_memory: bool | str = "auto",
        memory_limit_mb: int = 4096,
        max_unreadable: int = 10,
    ) -> None:
        super().__init__(
            name,
            image_size,
            load_size,
            input_channels,
            channels,
            num_classes,
            direction,
            batch_size,
            workers,
            seed,
            mirror,
            max_images,
            in_memory,
            memory_limit_mb,
        )
        self.root = root
        self.max_unreadable = max_unreadable
        self.origin = archive_origin(name, ARCHIVES)

    def prepare_data(self) -> None:
        """Downloads and unpacks the archive where it is missing."""
        self.origin.obtain(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns the targets' splits."""
        return self._domain(self.letters[1])

    def load_inputs(self) -> dict[str, ImageSource]:
        """Returns the inputs' splits."""
        return self._domain(self.letters[0])

    def _domain(self, letter: str) -> dict[str, ImageSource]:
        path = archive_place(self.origin, self.root)
        return load_both(self, path, open_entries(path), letter, 0.0, self.max_unreadable)
