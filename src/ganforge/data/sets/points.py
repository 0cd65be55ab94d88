from __future__ import annotations

from typing import Unpack

from ganforge.data.module import ImageDataModule, at_least
from ganforge.data.sets.mixture import Mixture
from ganforge.data.settings import BatchedSettings, MemorySettings
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import ConfigError

# Largest coordinate of a center. It is below 1 because tanh reaches +-1 only at infinity.
REACH = 0.8


class PointSettings(BatchedSettings, total=False):
    """Keyword arguments that data sets of points pass to PointData."""

    size: int
    image_size: int
    channels: int


class PointData(ImageDataModule):
    """Points of a 2D mixture, as images of one pixel with two channels.

    The mixture is scaled so that the largest coordinate of a center is 0.8. Points stay float32:
    as uint8, a Gaussian of the grid would be two values wide. Training and test points are the
    same in every run; the seed only determines their order. Labels are the modes.

    Args:
        name: name of the data set in runs and tables.
        mixture: the mixture, in the units of the paper.
        size: number of training points; the test split has a tenth as many.
        image_size: 1.
        channels: 2, the coordinates.
        num_classes: number of modes; 0 for points without labels.
        batch_size: points per discriminator update, over all processes.
        **settings: see :class:`ganforge.data.ImageDataModule`; ``mirror`` must be false, since
            points have no left and right.

    Attributes:
        mixture: the scaled mixture that the points are drawn from.
    """

    def __init__(
        self,
        name: str,
        mixture: Mixture,
        size: int = 100_000,
        image_size: int = 1,
        channels: int = 2,
        num_classes: int = 0,
        batch_size: int = 128,
        **settings: Unpack[MemorySettings],
    ) -> None:
        super().__init__(name, image_size, channels, num_classes, batch_size, **settings)
        if (image_size, channels, self.mirror) != (1, 2, False):
            raise ConfigError(
                f"data={name} needs image_size=1, channels=2 and mirror=false, got "
                f"{image_size}, {channels} and {self.mirror}"
            )
        if num_classes not in (0, mixture.modes):
            raise ConfigError(
                f"num_classes must be 0 or {mixture.modes} with data={name}, got {num_classes}"
            )
        at_least("size", size, 2)
        if mixture.sigma <= 0:
            raise ConfigError(f"sigma must be above 0, got {mixture.sigma}")
        self.mixture = mixture.scaled(REACH)
        self.points = size

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        return {
            "train": self._split(self.points, 0),
            "test": self._split(self.points // 10 or 1, 1),
        }

    def _split(self, count: int, split: int) -> MemorySource:
        points, modes = self.mixture.draw(count, split)
        return MemorySource(points.view(count, 2, 1, 1), modes if self.num_classes else None)
