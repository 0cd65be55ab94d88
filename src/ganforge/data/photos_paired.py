from __future__ import annotations

import torch
from torch import Tensor

from ganforge.data.edges import edges
from ganforge.data.images import with_channels
from ganforge.data.photos import NAMES, check_photos, photo, window_sources
from ganforge.data.source import ImageSource
from ganforge.data.translation_data import TranslationData
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
        channels: of the targets, likewise.
        num_classes: 0.
        direction: "AtoB" if A is the input and B the target, "BtoA" for the opposite.
        scale: of the photographs' sides: what a window shows grows as it falls.
        holdout: share of each half of the width, at its right, that is held out.
        batch_size: pairs of one critic update, over all processes.
        workers: loader processes; 0 is the quickest.
        seed: the run's seed, which decides the order and the flips.
        mirror: flip pairs at random.
        max_images: train on that many pairs only.
    """

    paired = True

    def __init__(
        self,
        photos: list[str] | None = None,
        task: str = "edges",
        name: str = "photos_paired",
        image_size: int = 64,
        input_channels: int = 1,
        channels: int = 3,
        num_classes: int = 0,
        direction: str = "AtoB",
        scale: float = 0.5,
        holdout: float = 0.425,
        batch_size: int = 1,
        workers: int = 0,
        seed: int = 0,
        mirror: bool = True,
        max_images: int | None = None,
    ) -> None:
        super().__init__(
            name,
            image_size,
            image_size,
            input_channels,
            channels,
            num_classes,
            direction,
            batch_size,
            workers,
            seed,
            mirror,
            max_images,
        )
        check_photos(scale, holdout, input_channels, channels)
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
