from __future__ import annotations

from ganforge.data.archives import archive_origin, archive_place
from ganforge.data.entries import open_entries
from ganforge.data.pairs import load_pairs
from ganforge.data.source import ImageSource
from ganforge.data.translation_data import TranslationData

_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{}.tar.gz"
ARCHIVES = {name: _URL.format(name) for name in ("facades", "maps", "edges2shoes")}


class Pix2PixArchive(TranslationData):
    """A data set that the authors of Pix2Pix offer: pairs side by side in a file, A left of B.

    Isola et al. 2017, arXiv:1611.07004. The test part is held out, or the validation part where
    there is none.

    Args:
        root: where the data set lies, as a folder or the original archive; None for a download
            into the cache.
        name: which data set: facades, maps or edges2shoes.
        image_size: side of the windows that networks are given.
        load_size: side to which an image is resized, stretched, before a window is cut out.
        input_channels: 1 grey, 3 RGB (transparency laid on white), 2 and 4 the same with alpha.
        channels: of the targets, likewise.
        num_classes: 0.
        direction: "AtoB" if A is the input and B the target, "BtoA" for the opposite.
        batch_size: pairs of one critic update, over all processes.
        workers: loader processes; None for 0 with images in memory and up to 4 with streams.
        seed: the run's seed.
        mirror: flip pairs at random.
        max_images: train on that many pairs only.
        in_memory: whether files are decoded at the start; "auto" up to ``memory_limit_mb``.
        memory_limit_mb: see ``in_memory``.
        max_unreadable: unreadable pairs that are listed and skipped.
    """

    paired = True

    def __init__(
        self,
        root: str | None = None,
        name: str = "facades",
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
        """Returns both splits."""
        path = archive_place(self.origin, self.root)
        return load_pairs(self, path, open_entries(path), 0.0, self.max_unreadable)
