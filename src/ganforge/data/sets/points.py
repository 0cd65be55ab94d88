from __future__ import annotations

from typing import Unpack

from ganforge.data.module import ImageDataModule
from ganforge.data.sets.mixture import Mixture
from ganforge.data.settings import GeneratedSettings, MirroredSettings
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import ConfigError

# A generator that ends in tanh reaches +-1 only at infinity.
REACH = 0.8


class PointSettings(GeneratedSettings, total=False):
    """What data sets of points pass on to PointData."""

    size: int
    image_size: int
    channels: int


class PointData(ImageDataModule):
    """Points of a mixture in the plane, as images of two channels and one pixel.

    The plane is scaled by one factor, so that the largest coordinate of a centre is 0.8. Points
    stay float32: in bytes a Gaussian of the grid would be two values wide. Training and test points
    are always the same ones; the run's seed decides their order. Labels are the modes.

    Args:
        name: what runs and tables call the data set.
        mixture: in the paper's unit.
        size: number of training points; a tenth as many are held out.
        image_size: 1.
        channels: 2, the coordinates.
        num_classes: number of modes; 0 for points without labels.
        batch_size: points of one critic update, over all processes.
        **settings: see :class:`ganforge.data.ImageDataModule`; ``mirror`` must be false, as points
            have no left and right.

    Attributes:
        mixture: where the points are from, in their own, scaled unit.
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
        **settings: Unpack[MirroredSettings],
    ) -> None:
        super().__init__(
            name=name,
            image_size=image_size,
            channels=channels,
            num_classes=num_classes,
            batch_size=batch_size,
            **settings,
        )
        if (image_size, channels, self.mirror) != (1, 2, False):
            raise ConfigError(
                f"data={name} gives points: image_size must be 1, channels 2 and mirror false, got "
                f"{image_size}, {channels} and {self.mirror}"
            )
        if num_classes not in (0, mixture.modes):
            raise ConfigError(
                f"num_classes must be 0 or {mixture.modes} with data={name}, got {num_classes}"
            )
        if size < 2:
            raise ConfigError(f"size must be at least 2, got {size}")
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
