from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from ganforge.data.images import with_channels
from ganforge.data.source import ImageSource
from ganforge.data.translation.edges import edges
from ganforge.data.translation.module import PhotoSettings, TranslationData
from ganforge.data.translation.photos import NAMES, check_photos, photo, window_sources
from ganforge.errors import ConfigError

TASKS = ("edges", "grey")


class PairedPhotos(TranslationData):
    """Windows of two photographs: A their edges or greys, B the photographs; nothing to download.

    The photographs, a temple and a flower, come with scikit-learn: 427x640 RGB. Some
    columns of each are held out. An epoch shows every window of the rest once.

    Args:
        photos: which of them: china, flower or both. Where lines are few, those of the one say
            nothing of the other's colours.
        task: "edges" for drawings of dark lines on white, "grey" for colours to be added.
        name: what runs and tables call the data set.
        image_size: side of the windows.
        input_channels: of the inputs: 1 grey, 3 RGB.
        scale: of the photographs' sides: what a window shows grows as it falls.
        holdout: share of each half of the width, at its right, that is held out.
        workers: loader processes; 0 is the quickest.
        **settings: see :class:`ganforge.data.TranslationData`; channels are 1 or 3.
    """

    paired = True

    def __init__(
        self,
        photos: list[str] | None = None,
        task: str = "edges",
        name: str = "photos_paired",
        image_size: int = 64,
        input_channels: int = 1,
        *,
        scale: float = 0.5,
        holdout: float = 0.425,
        workers: int = 0,
        **settings: Unpack[PhotoSettings],
    ) -> None:
        super().__init__(
            name=name,
            image_size=image_size,
            load_size=image_size,
            input_channels=input_channels,
            workers=workers,
            **settings,
        )
        check_photos(scale, holdout, self.input_channels, self.channels)
        if task not in TASKS:
            raise ConfigError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
        self.photos = list(NAMES) if photos is None else photos
        if not self.photos or set(self.photos) - set(NAMES):
            raise ConfigError(f"photos must be a list of {', '.join(NAMES)}, got {photos}")
        self.task = task
        self.scale = scale
        self.holdout = holdout

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        photos = torch.cat([photo(name, self.scale) for name in self.photos])
        return window_sources(self._pairs(photos), self.holdout, self.image_size)

    def _pairs(self, photos: Tensor) -> Tensor:
        """Made of whole photographs: a window's edges have no border of its own."""
        drawn = edges(photos) if self.task == "edges" else with_channels(photos, 1)
        sides = {"A": drawn, "B": photos}
        return torch.cat(
            [with_channels(sides[letter], self.channels_of(letter)) for letter in self.letters], 1
        )
