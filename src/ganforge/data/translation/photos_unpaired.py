from __future__ import annotations

from typing import Unpack

from ganforge.data.images import with_channels
from ganforge.data.source import ImageSource
from ganforge.data.translation.photos import (
    NAMES,
    PhotoData,
    UnpairedPhotoSettings,
    photo,
    window_sources,
)


class UnpairedPhotos(PhotoData):
    """Windows of two photographs: A of a temple, B of a flower; no download.

    The photographs come with scikit-learn.

    Args:
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.PhotoData`.
    """

    def __init__(
        self, name: str = "photos_unpaired", **settings: Unpack[UnpairedPhotoSettings]
    ) -> None:
        super().__init__(name, **settings)

    def load_domain(self, letter: str) -> dict[str, ImageSource]:
        """Returns the splits of domain "A" or "B"."""
        name = NAMES["AB".index(letter)]
        whole = with_channels(photo(name, self.scale), self.channels_of(letter))
        return window_sources(whole, self.holdout, self.image_size)
