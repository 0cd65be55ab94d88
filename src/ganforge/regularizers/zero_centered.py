from __future__ import annotations

import math

from torch import Tensor

from ganforge.errors import ConfigError, require
from ganforge.regularizers.context import Critic
from ganforge.regularizers.input_gradient import input_gradient, squared_norm
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.weight_clip import NEXT_TO_A_PENALTY, WeightClip
from ganforge.streams import Noise


class ZeroCenteredPenalty(Regularizer):
    """Base class of R1 and R2: half the mean squared gradient of the discriminator.

    Mescheder et al. 2018, arXiv:1801.04406. The half is part of the penalty, so that ``weight`` is
    the paper's gamma. It depends only on the images seen, so there is nothing to save or to step.

    Args:
        weight: the paper's gamma.
        every: apply at every n-th update of the discriminator, n times as strongly.
        final_weight: gamma at the end of a half-cosine decay, as in R3GAN (arXiv:2501.05441); None
            keeps ``weight``.
        decay_images: real images after which the decay ends.
        precision: see Regularizer.
    """

    conflicts = {WeightClip: NEXT_TO_A_PENALTY}

    def __init__(
        self,
        weight: float = 10.0,
        every: int = 1,
        final_weight: float | None = None,
        decay_images: int = 20_000_000,
        precision: str = "float32",
    ) -> None:
        super().__init__(weight, every, precision)
        name = type(self).__name__
        if final_weight is not None and final_weight < 0:
            raise ConfigError(
                f"{name}: final_weight must be at least 0 or null, got {final_weight}"
            )
        require(decay_images >= 1, f"{name}: decay_images must be at least 1, got {decay_images}")
        self.final_weight = weight if final_weight is None else final_weight
        self.decay_images = decay_images

    def weight_at(self, images_seen: int) -> float:
        """Returns the factor of the penalty after ``images_seen`` real images."""
        passed = min(images_seen / self.decay_images, 1.0)
        share = (1 - math.cos(math.pi * passed)) / 2
        return self.weight + share * (self.final_weight - self.weight)


class R1(ZeroCenteredPenalty):
    """1/2 E[|grad D(x)|^2], the squared gradient at real images (arXiv:1801.04406)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns 1/2 E[|grad D(x)|^2], a scalar, for data [B, ...] of any shape."""
        return squared_norm(input_gradient(critic, real)).mean() / 2


class R2(ZeroCenteredPenalty):
    """1/2 E[|grad D(G(z))|^2], the squared gradient at generated images (arXiv:1801.04406)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns 1/2 E[|grad D(G(z))|^2], a scalar, for data [B, ...] of any shape."""
        return squared_norm(input_gradient(critic, fake)).mean() / 2
