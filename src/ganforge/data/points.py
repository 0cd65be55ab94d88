from __future__ import annotations

from ganforge.data.image_data import ImageDataModule
from ganforge.data.mixture import Mixture
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import ConfigError

# A generator that ends in tanh reaches +-1 only at infinity.
REACH = 0.8


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
        workers: loader processes; 0 is the quickest.
        seed: the run's seed.
        mirror: false; points have no left and right.
        max_images: train on that many points only.

    Attributes:
        mixture: where the points are from, in their own, scaled unit.
    """

    def __init__(
        self,
        name: str,
        mixture: Mixture,
        size: int,
        image_size: int,
        channels: int,
        num_classes: int,
        batch_size: int,
        workers: int,
        seed: int,
        mirror: bool,
        max_images: int | None,
    ) -> None:
        super().__init__(
            name, image_size, channels, num_classes, batch_size, workers, seed, mirror, max_images
        )
        if (image_size, channels, mirror) != (1, 2, False):
            raise ConfigError(
                f"data={name} gives points: image_size must be 1, channels 2 and mirror false, got "
                f"{image_size}, {channels} and {mirror}"
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
