from __future__ import annotations

from typing import Unpack

from ganforge.data.sets.digits import Digits
from ganforge.data.sets.stacked import StackedData, StackedSettings


class StackedDigits(StackedData):
    """Three of scikit-learn's handwritten digits in three channels: 1,000 modes, no download.

    Args:
        name: name of the data set in runs and tables.
        image_size: side of the images.
        **settings: see :class:`ganforge.data.StackedData`.
    """

    def __init__(
        self,
        *,
        name: str = "stacked_digits",
        image_size: int = 32,
        **settings: Unpack[StackedSettings],
    ) -> None:
        super().__init__(Digits(image_size=image_size), name, **settings)
