from __future__ import annotations

from typing import Unpack

from ganforge.data.files.entries import open_entries
from ganforge.data.source import ImageSource
from ganforge.data.translation.archives import archive_origin, archive_place
from ganforge.data.translation.domains import load_both
from ganforge.data.translation.module import TranslationData, TranslationSettings

_URL = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{}.zip"
ARCHIVES = {
    "horse2zebra": _URL.format("horse2zebra"),
    "monet2photo": _URL.format("monet2photo"),
    "summer2winter": _URL.format("summer2winter_yosemite"),
}


class CycleGANArchive(TranslationData):
    """A data set published with CycleGAN: ``trainA``, ``trainB``, ``testA``, ``testB``.

    Zhu et al. 2017, arXiv:1703.10593.

    Args:
        root: location of the unpacked data set or the original archive; None to download into
            the cache.
        name: horse2zebra, monet2photo or summer2winter.
        max_unreadable: number of unreadable images to log and skip per split; more are an error.
        **settings: see :class:`ganforge.data.TranslationData`.
    """

    def __init__(
        self,
        root: str | None = None,
        name: str = "horse2zebra",
        *,
        max_unreadable: int = 10,
        **settings: Unpack[TranslationSettings],
    ) -> None:
        super().__init__(name=name, **settings)
        self.root = root
        self.max_unreadable = max_unreadable
        self.origin = archive_origin(name, ARCHIVES)

    def prepare_data(self) -> None:
        """Downloads and unpacks the archive if it is missing."""
        self.origin.obtain(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits of the target domain."""
        return self._domain(self.letters[1])

    def load_inputs(self) -> dict[str, ImageSource]:
        """Returns the splits of the input domain."""
        return self._domain(self.letters[0])

    def _domain(self, letter: str) -> dict[str, ImageSource]:
        path = archive_place(self.origin, self.root)
        return load_both(self, path, open_entries(path), letter, 0.0, self.max_unreadable)
