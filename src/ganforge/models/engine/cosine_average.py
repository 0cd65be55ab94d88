from __future__ import annotations

import math

from ganforge.errors import ConfigError
from ganforge.models.engine.averaging import ExponentialMovingAverage


class CosineAverage(ExponentialMovingAverage):
    """Moving average whose half-life grows from 0 along half a cosine, as in R3GAN.

    Huang et al. 2024, arXiv:2501.05441.

    Args:
        half_life: final half-life in images.
        ramp: additionally limits the half-life to ``ramp * images_seen``; None for no such limit.
        images: real images seen after which the final half-life is reached.
    """

    def __init__(
        self,
        half_life: float = 5_000_000.0,
        ramp: float | None = None,
        images: int = 20_000_000,
    ) -> None:
        super().__init__(half_life, ramp)
        if images < 1:
            raise ConfigError(f"average.images must be at least 1, got {images}")
        self.images = images

    def half_life_at(self, images_seen: int) -> float:
        """Returns the half-life in images after ``images_seen`` real images."""
        passed = min(images_seen / self.images, 1.0)
        half_life = self.half_life * (1 - math.cos(math.pi * passed)) / 2
        return half_life if self.ramp is None else min(half_life, self.ramp * images_seen)

    def decay(self, batch: int, images_seen: int) -> float:
        """Returns beta for an update with a batch of ``batch`` images."""
        half_life = self.half_life_at(images_seen)
        return float(0.5 ** (batch / half_life)) if half_life > 0 else 0.0
