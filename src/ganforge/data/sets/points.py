from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from ganforge.data.module import ImageDataModule, at_least
from ganforge.data.settings import BatchedSettings, MemorySettings
from ganforge.data.source import ImageSource, MemorySource
from ganforge.errors import ConfigError
from ganforge.streams import mix

# Largest coordinate of a center. It is below 1 because tanh reaches +-1 only at infinity.
REACH = 0.8


@dataclass(frozen=True)
class Mixture:
    """Equally weighted spherical Gaussians in the plane.

    Attributes:
        centres: float32 [k, 2].
        sigma: standard deviation of each Gaussian along both axes.
    """

    centres: Tensor
    sigma: float

    @property
    def modes(self) -> int:
        """Returns the number of Gaussians, k."""
        return len(self.centres)

    def scaled(self, reach: float) -> Mixture:
        """Returns the mixture with centers and sigma multiplied by one factor.

        Args:
            reach: largest coordinate of a center afterwards.
        """
        factor = reach / float(self.centres.abs().max())
        return Mixture(self.centres * factor, self.sigma * factor)

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns points, float32 [count, 2], and their modes, int64 [count].

        Args:
            count: number of points.
            seed: fully determines the points; no global generator is used.
        """
        generator = torch.Generator().manual_seed(mix(seed))
        modes = torch.randint(self.modes, (count,), generator=generator)
        noise = torch.randn(count, 2, generator=generator)
        return self.centres[modes] + self.sigma * noise, modes

    def log_density(self, points: Tensor) -> Tensor:
        """Returns [B, k]: -|x - c|^2 / (2 sigma^2), each Gaussian's log density up to a constant.

        Args:
            points: [B, 2].
        """
        apart = points[:, None] - self.centres.to(points)
        return -apart.square().sum(2) / (2 * self.sigma**2)


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


class Ring8(PointData):
    """Eight Gaussians on a circle of radius 1: the 2D-ring of VEEGAN and PacGAN.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.

    Args:
        sigma: standard deviation of each Gaussian, relative to the radius of 1.
        name: name of the data set in runs and tables.
        num_classes: 8, the number of modes; 0 for points without labels.
        **settings: see :class:`ganforge.data.PointData`.
    """

    def __init__(
        self,
        sigma: float = 0.01,
        *,
        name: str = "ring8",
        num_classes: int = 8,
        **settings: Unpack[PointSettings],
    ) -> None:
        angles = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        centres = torch.stack([angles.cos(), angles.sin()], dim=1).float()
        super().__init__(name, Mixture(centres, sigma), num_classes=num_classes, **settings)


class Grid25(PointData):
    """25 Gaussians at {-4, -2, 0, 2, 4}^2: the 2D-grid of VEEGAN and PacGAN.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.

    Args:
        sigma: standard deviation of each Gaussian, relative to a distance of 2 between neighbors.
        name: name of the data set in runs and tables.
        num_classes: 25, the number of modes; 0 for points without labels.
        **settings: see :class:`ganforge.data.PointData`.
    """

    def __init__(
        self,
        sigma: float = 0.05,
        *,
        name: str = "grid25",
        num_classes: int = 25,
        **settings: Unpack[PointSettings],
    ) -> None:
        ticks = torch.arange(-4.0, 5.0, 2.0)
        mixture = Mixture(torch.cartesian_prod(ticks, ticks), sigma)
        super().__init__(name, mixture, num_classes=num_classes, **settings)
