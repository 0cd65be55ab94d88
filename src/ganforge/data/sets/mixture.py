from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.streams import mix


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
