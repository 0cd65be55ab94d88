from __future__ import annotations

from typing import Unpack

from ganforge.data.source import ImageSource
from ganforge.data.translation.archives import TranslationArchive
from ganforge.data.translation.module import TranslationFileSettings
from ganforge.data.translation.pairs import load_pairs

_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{}.tar.gz"


class Pix2PixArchive(TranslationArchive):
    """A data set published with Pix2Pix: pairs side by side in one file, A on the left.

    Isola et al. 2017, arXiv:1611.07004. The test split is the test part, or the validation part if
    there is no test part.

    Args:
        root: location of the unpacked data set or the original archive; None to download into
            the cache.
        name: facades, maps or edges2shoes.
        **settings: see :class:`ganforge.data.TranslationFiles`.
    """

    gives = frozenset({"inputs", "pairs"})
    archives = {name: _URL.format(name) for name in ("facades", "maps", "edges2shoes")}

    def __init__(
        self,
        root: str | None = None,
        name: str = "facades",
        **settings: Unpack[TranslationFileSettings],
    ) -> None:
        super().__init__(root, name, **settings)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        return load_pairs(self, self.located())
