from __future__ import annotations

from typing import Unpack

from ganforge.data.images import with_channels
from ganforge.data.source import ImageSource
from ganforge.data.translation.module import TranslationData, UnpairedPhotoSettings
from ganforge.data.translation.photos import NAMES, check_photos, photo, window_sources


class UnpairedPhotos(TranslationData):
    """Windows of two photographs: A of a temple, B of a flower; no download.

    The photographs come with scikit-learn: 427x640 RGB. Some columns of each are held out. An
    epoch shows every window of the other columns once.

    Args:
        name: name of the data set in runs and tables.
        image_size: side of the windows.
        scale: factor for the sides of the photographs; with a smaller one, windows show more.
        holdout: held-out share of each half of the width, on its right.
        workers: loader processes; 0 is fastest.
        **settings: see :class:`ganforge.data.TranslationData`; channels are 1 or 3.
    """

    def __init__(
        self,
        name: str = "photos_unpaired",
        image_size: int = 64,
        *,
        scale: float = 0.5,
        holdout: float = 0.425,
        workers: int = 0,
        **settings: Unpack[UnpairedPhotoSettings],
    ) -> None:
        super().__init__(
            name=name, image_size=image_size, load_size=image_size, workers=workers, **settings
        )
        check_photos(scale, holdout, self.input_channels, self.channels)
        self.scale = scale
        self.holdout = holdout

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits of the target domain."""
        return self._domain(self.letters[1])

    def load_inputs(self) -> dict[str, ImageSource]:
        """Returns the splits of the input domain."""
        return self._domain(self.letters[0])

    def _domain(self, letter: str) -> dict[str, ImageSource]:
        name = NAMES["AB".index(letter)]
        whole = with_channels(photo(name, self.scale), self.channels_of(letter))
        return window_sources(whole, self.holdout, self.image_size)
