from __future__ import annotations

from typing import Unpack

from ganforge.data.source import ImageSource
from ganforge.data.translation.archives import TranslationArchive
from ganforge.data.translation.domains import load_domain
from ganforge.data.translation.module import TranslationFileSettings

_URL = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{}.zip"


class CycleGANArchive(TranslationArchive):
    """A data set published with CycleGAN: ``trainA``, ``trainB``, ``testA``, ``testB``.

    Zhu et al. 2017, arXiv:1703.10593.

    Args:
        root: location of the unpacked data set or the original archive; None to download into
            the cache.
        name: horse2zebra, monet2photo or summer2winter.
        **settings: see :class:`ganforge.data.TranslationFiles`.
    """

    archives = {
        "horse2zebra": _URL.format("horse2zebra"),
        "monet2photo": _URL.format("monet2photo"),
        "summer2winter": _URL.format("summer2winter_yosemite"),
    }

    def __init__(
        self,
        root: str | None = None,
        name: str = "horse2zebra",
        **settings: Unpack[TranslationFileSettings],
    ) -> None:
        super().__init__(root, name, **settings)

    def load_domain(self, letter: str) -> dict[str, ImageSource]:
        """Returns the splits of domain "A" or "B"."""
        return load_domain(self, self.located(), letter)
