from __future__ import annotations

from typing import Any

from ganforge.data.domains import load_both, load_one
from ganforge.data.entries import open_entries
from ganforge.data.source import ImageSource
from ganforge.data.translation_data import TranslationData
from ganforge.data.translation_layout import check_holdout
from ganforge.data.value_range import read_range
from ganforge.errors import ConfigError, DataError
from ganforge.paths import typed_path


class UnpairedImages(TranslationData):
    """Your own images of two domains, as for CycleGAN (Zhu et al. 2017, arXiv:1703.10593).

    They lie in folders ``trainA``, ``trainB``, ``testA`` and ``testB`` under ``path``, or ``A`` and
    ``B``; or in any two places, ``path_a`` and ``path_b``, in which folders ``train`` and ``test``
    (or ``val``) are the splits.

    Args:
        path: a folder, zip or tar of both domains.
        path_a: a folder, zip or tar of domain A alone; with ``path_b``, instead of ``path``.
        path_b: likewise of domain B.
        name: what runs and tables call the data set.
        image_size: side of the windows that networks are given.
        load_size: side to which an image is resized, stretched, before a window is cut out.
        input_channels: 1 grey, 3 RGB (transparency laid on white), 2 and 4 the same with alpha.
        channels: of the targets, likewise.
        num_classes: 0.
        direction: "AtoB" if A is the input and B the target, "BtoA" for the opposite.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; None for 0 with images in memory and up to 4 with streams.
        seed: the run's seed.
        mirror: flip images at random.
        max_images: train on that many images only of each domain.
        holdout: share of a domain without test folder that is not trained on.
        in_memory: whether files are decoded at the start; "auto" up to ``memory_limit_mb``.
        memory_limit_mb: see ``in_memory``.
        max_unreadable: unreadable images that are listed and skipped of each split.
        range: [lo, hi] that become black and white of 16-bit, 32-bit and float images; None for
            the set's own. {A: [lo, hi], B: [lo, hi]} states them for each domain.
        layout: 2; 1 reads folders as runs did that trained on images beside ``train``.
    """

    def __init__(
        self,
        path: str | None = None,
        path_a: str | None = None,
        path_b: str | None = None,
        name: str = "unpaired",
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
        holdout: float = 0.1,
        in_memory: bool | str = "auto",
        memory_limit_mb: int = 4096,
        max_unreadable: int = 10,
        range: list[float] | dict[str, Any] | None = None,
        layout: int = 2,
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
        """Refuses a path that does not exist."""
        for path in self.paths:
            if not path.exists():
                raise DataError(f"{path} does not exist: give a folder, zip or tar of images")

    def load(self) -> dict[str, ImageSource]:
        """Returns the targets' splits."""
        return self._domain(self.letters[1])

    def load_inputs(self) -> dict[str, ImageSource]:
        """Returns the inputs' splits."""
        return self._domain(self.letters[0])

    def _domain(self, letter: str) -> dict[str, ImageSource]:
        load = load_both if len(self.paths) == 1 else load_one
        path = self.paths[0 if letter == "A" else -1]
        entries = open_entries(path)
        return load(self, path, entries, letter, self.holdout, self.max_unreadable)
