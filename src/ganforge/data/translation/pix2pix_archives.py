from __future__ import annotations

from typing import Unpack

from ganforge.data.files.entries import open_entries
from ganforge.data.source import ImageSource
from ganforge.data.translation.archives import archive_origin, archive_place
from ganforge.data.translation.module import TranslationData, TranslationSettings
from ganforge.data.translation.pairs import load_pairs

_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{}.tar.gz"
ARCHIVES = {name: _URL.format(name) for name in ("facades", "maps", "edges2shoes")}


class Pix2PixArchive(TranslationData):
    """A data set published with Pix2Pix: pairs side by side in one file, A on the left.

    Isola et al. 2017, arXiv:1611.07004. The test split is the test part, or the validation part if
    there is no test part.

    Args:
        root: location of the unpacked data set or the original archive; None to download into
            the cache.
        name: facades, maps or edges2shoes.
        max_unreadable: number of unreadable pairs to log and skip; more are an error.
        **settings: see :class:`ganforge.data.TranslationData`.
    """

    paired = True

    def __init__(
        self,
        root: str | None = None,
        name: str = "facades",
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
        """Returns both splits."""
        path = archive_place(self.origin, self.root)
        return load_pairs(self, path, open_entries(path), 0.0, self.max_unreadable)
