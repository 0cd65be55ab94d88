from __future__ import annotations

import math

from ganforge.errors import ConfigError
from ganforge.regularizers.regularizer import Regularizer


class ScheduledWeight(Regularizer):
    """A regularizer whose weight follows a half cosine over the images seen, then stays constant.

    The weight depends only on the number of images, so there is nothing to save or to step.

    Args:
        weight: factor of the penalty at the start.
        every: apply at every n-th update of the player, n times as strongly.
        final_weight: factor of the penalty at the end; None keeps ``weight``.
        decay_images: real images after which the decay ends.
    """

    def __init__(
        self,
        weight: float = 10.0,
        every: int = 1,
        final_weight: float | None = None,
        decay_images: int = 20_000_000,
    ) -> None:
        super().__init__(weight, every)
        name = type(self).__name__
        if final_weight is not None and final_weight < 0:
            raise ConfigError(
                f"{name}: final_weight must be at least 0 or null, got {final_weight}"
            )
        if decay_images < 1:
            raise ConfigError(f"{name}: decay_images must be at least 1, got {decay_images}")
        self.final_weight = weight if final_weight is None else final_weight
        self.decay_images = decay_images

    def weight_at(self, images_seen: int) -> float:
        """Returns the factor of the penalty after ``images_seen`` real images."""
        passed = min(images_seen / self.decay_images, 1.0)
        share = (1 - math.cos(math.pi * passed)) / 2
        return self.weight + share * (self.final_weight - self.weight)
