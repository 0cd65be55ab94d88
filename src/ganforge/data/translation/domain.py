from __future__ import annotations

from collections.abc import Mapping

from ganforge.data.reals import RealImages
from ganforge.data.source import ImageSource


class Domain(RealImages):
    """One domain of a translation data set, as a separate data set without labels.

    Args:
        name: name of the data set.
        sources: square images of one shape, by split.

    Attributes:
        channels: number of channels, C.
        image_size: side of the images, H = W.
    """

    def __init__(self, name: str, sources: Mapping[str, ImageSource]) -> None:
        super().__init__()
        self.name = name
        self.channels, self.image_size, _ = sources["train"].shape
        self._sources = {**sources}
