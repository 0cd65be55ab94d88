from __future__ import annotations

from typing import Any, Unpack

from ganforge.data.files.entries import open_entries
from ganforge.data.files.value_range import read_range
from ganforge.data.source import ImageSource
from ganforge.data.translation.layout import check_holdout
from ganforge.data.translation.module import TranslationData, TranslationSettings
from ganforge.data.translation.pairs import load_pairs
from ganforge.errors import ConfigError, DataError
from ganforge.paths import typed_path


class PairedImages(TranslationData):
    """Your own pairs of images, as for Pix2Pix (Isola et al. 2017, arXiv:1611.07004).

    Either both images are side by side in one file, A on the left; or they have equal names, up to
    the suffix, in folders ``A`` and ``B``. Folders ``train`` and ``test`` (or ``val``) are the
    splits, below or above A and B, or joined with them, as in ``trainA``.

    Args:
        path: a folder, zip or tar.
        name: name of the data set in runs and tables.
        holdout: held-out share of a data set without a test folder.
        max_unreadable: number of unreadable pairs to log and skip; more are an error.
        range: [lo, hi], the values of 16-bit, 32-bit and float images that map to black and
            white; {A: [lo, hi], B: [lo, hi]} sets them per domain; None to detect them.
        layout: 2; 1 applies the rules of older runs, which trained on images next to ``train``.
        **settings: see :class:`ganforge.data.TranslationData`.
    """

    paired = True

    def __init__(
        self,
        path: str | None = None,
        name: str = "paired",
        *,
        holdout: float = 0.1,
        max_unreadable: int = 10,
        range: list[float] | dict[str, Any] | None = None,
        layout: int = 2,
        **settings: Unpack[TranslationSettings],
    ) -> None:
        super().__init__(name=name, **settings)
        if not path:
            raise ConfigError("data=paired needs data.path=PATH, a folder, zip or tar of pairs")
        check_holdout(holdout)
        self.path = typed_path(path)
        self.holdout = holdout
        self.max_unreadable = max_unreadable
        self.range = range
        for letter in "AB":
            read_range(range, letter)
        self.layout = layout

    def prepare_data(self) -> None:
        """Raises DataError if the path does not exist."""
        if not self.path.exists():
            raise DataError(f"{self.path} does not exist: give a folder, zip or tar of pairs")

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits given by the folders, or a train split and a held-out share."""
        entries = open_entries(self.path)
        return load_pairs(self, self.path, entries, self.holdout, self.max_unreadable)
