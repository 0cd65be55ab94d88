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
    """Windows of two photographs: A edges or grey images, B the photographs; no download.

    The photographs, a temple and a flower, come with scikit-learn: 427x640 RGB. Some columns of
    each are held out. An epoch shows every window of the other columns once.

    Args:
        photos: list of china, flower or both. With both, colours can be ambiguous where there are
            few edges.
        task: "edges" to translate edge drawings, dark lines on white; "grey" to add colours.
        name: name of the data set in runs and tables.
        image_size: side of the windows.
        input_channels: channels of the inputs: 1 grey, 3 RGB.
        scale: factor for the sides of the photographs; with a smaller one, windows show more.
        holdout: held-out share of each half of the width, on its right.
        workers: loader processes; 0 is fastest.
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
        """Returns input and target channels of whole photographs, [P, C, H, W].

        Edges are computed before windows are cropped, so that windows have no border artefacts.
        """
        drawn = edges(photos) if self.task == "edges" else with_channels(photos, 1)
        sides = {"A": drawn, "B": photos}
        return torch.cat(
            [with_channels(sides[letter], self.channels_of(letter)) for letter in self.letters], 1
        )
