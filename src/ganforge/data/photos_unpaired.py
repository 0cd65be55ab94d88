from __future__ import annotations

from ganforge.data.images import with_channels
from ganforge.data.photos import NAMES, check_photos, photo, window_sources
from ganforge.data.source import ImageSource
from ganforge.data.translation_data import TranslationData


class UnpairedPhotos(TranslationData):
    """Windows of two photographs: A of a temple, B of a flower; nothing to download.

    They come with scikit-learn: 427x640 RGB. Some columns of each are held out. An epoch shows
    every window of the rest once.

    Args:
        name: what runs and tables call the data set.
        image_size: side of the windows.
        input_channels: of the inputs: 1 grey, 3 RGB.
        channels: of the targets, likewise.
        num_classes: 0.
        direction: "AtoB" if A is the input and B the target, "BtoA" for the opposite.
        scale: of the photographs' sides: what a window shows grows as it falls.
        holdout: share of each half of the width, at its right, that is held out.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; 0 is the quickest.
        seed: the run's seed, which decides the order and the flips.
        mirror: flip images at random.
        max_images: train on that many images of each domain only.
    """

    def __init__(
        self,
        name: str = "photos_unpaired",
        image_size: int = 64,
        input_channels: int = 3,
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
        self.scale = scale
        self.holdout = holdout

    def load(self) -> dict[str, ImageSource]:
        """Returns the targets' splits."""
        return self._domain(self.letters[1])

    def load_inputs(self) -> dict[str, ImageSource]:
        """Returns the inputs' splits."""
        return self._domain(self.letters[0])

    def _domain(self, letter: str) -> dict[str, ImageSource]:
        name = NAMES["AB".index(letter)]
        whole = with_channels(photo(name, self.scale), self.channels_of(letter))
        return window_sources(whole, self.holdout, self.image_size)
