from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from ganforge.data.files.value_range import read_range
from ganforge.data.source import ImageSource
from ganforge.data.translation.module import TranslationFiles, TranslationFileSettings
from ganforge.data.translation.pairs import load_domain, load_pairs
from ganforge.errors import ConfigError, DataError
from ganforge.paths import local_path


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


class PairedImages(OwnTranslation):
    """Your own pairs of images, as for Pix2Pix (Isola et al. 2017, arXiv:1611.07004).

    Either both images are side by side in one file, A on the left; or they have equal names, up to
    the suffix, in folders ``A`` and ``B``. Folders ``train`` and ``test`` (or ``val``) are the
    splits, below or above A and B, or joined with them, as in ``trainA``.

    Args:
        path: a folder, zip or tar.
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.OwnTranslation`.
    """

    gives = frozenset({"inputs", "pairs"})

    def __init__(
        self,
        path: str | None = None,
        name: str = "paired",
        **settings: Unpack[OwnTranslationSettings],
    ) -> None:
        super().__init__([local_path(path, "data.path")] if path else [], name, **settings)
        if not path:
            raise ConfigError("data=paired needs data.path=PATH, a folder, zip or tar of pairs")

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits given by the folders, or a train split and a held-out share."""
        return load_pairs(self, self.paths[0])


class UnpairedImages(OwnTranslation):
    """Your own images of two domains, as for CycleGAN (Zhu et al. 2017, arXiv:1703.10593).

    The images are in folders ``trainA``, ``trainB``, ``testA`` and ``testB``, or ``A`` and ``B``,
    under ``path``. Alternatively, each domain has its own path, ``path_a`` and ``path_b``, in which
    folders ``train`` and ``test`` (or ``val``) are the splits.

    Args:
        path: a folder, zip or tar of both domains.
        path_a: a folder, zip or tar of domain A only; with ``path_b``, instead of ``path``.
        path_b: likewise for domain B.
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.OwnTranslation`.
    """

    def __init__(
        self,
        path: str | None = None,
        path_a: str | None = None,
        path_b: str | None = None,
        name: str = "unpaired",
        **settings: Unpack[OwnTranslationSettings],
    ) -> None:
        given = {"path": path} if path else {"path_a": path_a, "path_b": path_b}
        paths = [local_path(text, f"data.{key}") for key, text in given.items() if text]
        super().__init__(paths, name, **settings)
        if not (path and not path_a and not path_b) and not (path_a and path_b and not path):
            raise ConfigError(
                "data=unpaired needs data.path=PATH of trainA/ and trainB/, or both "
                "data.path_a=PATH and data.path_b=PATH"
            )

    def load_domain(self, letter: str) -> dict[str, ImageSource]:
        """Returns the splits of domain "A" or "B"."""
        path = self.paths[0 if letter == "A" else -1]
        return load_domain(self, path, letter, shared=len(self.paths) == 1)
