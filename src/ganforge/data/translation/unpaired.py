from __future__ import annotations

from typing import Any, Unpack

from ganforge.data.files.entries import open_entries
from ganforge.data.files.value_range import read_range
from ganforge.data.source import ImageSource
from ganforge.data.translation.domains import load_both, load_one
from ganforge.data.translation.layout import check_holdout
from ganforge.data.translation.module import TranslationData, TranslationSettings
from ganforge.errors import ConfigError, DataError
from ganforge.paths import typed_path


class UnpairedImages(TranslationData):
    """Your own images of two domains, as for CycleGAN (Zhu et al. 2017, arXiv:1703.10593).

    The images are in folders ``trainA``, ``trainB``, ``testA`` and ``testB``, or ``A`` and ``B``,
    under ``path``. Alternatively, each domain has its own path, ``path_a`` and ``path_b``, in which
    folders ``train`` and ``test`` (or ``val``) are the splits.

    Args:
        path: a folder, zip or tar of both domains.
        path_a: a folder, zip or tar of domain A only; with ``path_b``, instead of ``path``.
        path_b: likewise for domain B.
        name: name of the data set in runs and tables.
        holdout: held-out share of a domain without a test folder.
        max_unreadable: number of unreadable images to log and skip per split; more are an error.
        range: [lo, hi], the values of 16-bit, 32-bit and float images that map to black and
            white; {A: [lo, hi], B: [lo, hi]} sets them per domain; None to detect them.
        layout: 2; 1 applies the rules of older runs, which trained on images next to ``train``.
        **settings: see :class:`ganforge.data.TranslationData`.
    """

    def __init__(
        self,
        path: str | None = None,
        path_a: str | None = None,
        path_b: str | None = None,
        name: str = "unpaired",
        *,
        holdout: float = 0.1,
        max_unreadable: int = 10,
        range: list[float] | dict[str, Any] | None = None,
        layout: int = 2,
        **settings: Unpack[TranslationSettings],
    ) -> None:
        super().__init__(name=name, **settings)
        if not (path and not path_a and not path_b) and not (path_a and path_b and not path):
            raise ConfigError(
                "data=unpaired needs data.path=PATH of trainA/ and trainB/, or both "
                "data.path_a=PATH and data.path_b=PATH"
            )
        check_holdout(holdout)
        given = [path] if path else [path_a, path_b]
        self.paths = [typed_path(text) for text in given if text]
        self.holdout = holdout
        self.max_unreadable = max_unreadable
        self.range = range
        for letter in "AB":
            read_range(range, letter)
        self.layout = layout

    def prepare_data(self) -> None:
        """Raises DataError if a path does not exist."""
        for path in self.paths:
            if not path.exists():
                raise DataError(f"{path} does not exist: give a folder, zip or tar of images")

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits of the target domain."""
        return self._domain(self.letters[1])

    def load_inputs(self) -> dict[str, ImageSource]:
        """Returns the splits of the input domain."""
        return self._domain(self.letters[0])

    def _domain(self, letter: str) -> dict[str, ImageSource]:
        load = load_both if len(self.paths) == 1 else load_one
        path = self.paths[0 if letter == "A" else -1]
        entries = open_entries(path)
        return load(self, path, entries, letter, self.holdout, self.max_unreadable)
