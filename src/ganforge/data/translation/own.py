from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from ganforge.data.files.value_range import read_range
from ganforge.data.translation.module import TranslationFiles, TranslationFileSettings
from ganforge.errors import ConfigError, DataError


class OwnTranslationSettings(TranslationFileSettings, total=False):
    """Keyword arguments that the user's own data sets pass to OwnTranslation."""

    holdout: float
    range: list[float] | dict[str, Any] | None
    layout: int


class OwnTranslation(TranslationFiles):
    """Base class of translation data sets of the user's own images.

    Args:
        paths: folders, zips or tars.
        name: name of the data set in runs and tables.
        holdout: held-out share of a data set, or domain, without a test folder.
        range: [lo, hi], the values of 16-bit, 32-bit and float images that map to black and
            white; {A: [lo, hi], B: [lo, hi]} sets them per domain; None to detect them.
        layout: 2; 1 applies the rules of older runs, which trained on images next to ``train``.
        **settings: see :class:`ganforge.data.TranslationFiles`.
    """

    def __init__(
        self,
        paths: list[Path],
        name: str,
        *,
        holdout: float = 0.1,
        range: list[float] | dict[str, Any] | None = None,
        layout: int = 2,
        **settings: Unpack[TranslationFileSettings],
    ) -> None:
        super().__init__(name, **settings)
        if not 0 <= holdout < 1:
            raise ConfigError(f"holdout must be at least 0 and below 1, got {holdout}")
        self.paths = paths
        self.holdout = holdout
        self.range = range
        for letter in "AB":
            read_range(range, letter)
        self.layout = layout

    def prepare_data(self) -> None:
        """Raises DataError if a path does not exist."""
        for path in self.paths:
            if not path.exists():
                what = "pairs" if "pairs" in self.gives else "images"
                raise DataError(f"{path} does not exist; expected a folder, zip or tar of {what}")
