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
    """A data set that the authors of Pix2Pix offer: pairs side by side in a file, A left of B.

    Isola et al. 2017, arXiv:1611.07004. The test part is held out, or the validation part where
    there is none.

    Args:
        root: where the data set lies, as a folder or the original archive; None for a download
            into the cache.
        name: which data set: facades, maps or edges2shoes.
        max_unreadable: unreadable pairs that are listed and skipped.
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
        """Downloads and unpacks the archive where it is missing."""
        self.origin.obtain(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        path = archive_place(self.origin, self.root)
        return load_pairs(self, path, open_entries(path), 0.0, self.max_unreadable)
