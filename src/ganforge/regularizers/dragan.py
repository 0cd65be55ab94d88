from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.regularizers.context import Critic
from ganforge.regularizers.input_gradient import input_gradient, norm
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.weight_clip import BESIDE_A_PENALTY, WeightClip
from ganforge.streams import Noise


class DRAGAN(Regularizer):
    """E[(|grad D(x + delta)| - target)^2] at real images with noise on them.

    Kodali et al. 2017, arXiv:1705.07215. delta ~ N(0, c^2 I), drawn for each value of each image,
    where c = ``scale`` times the standard deviation of all values of the real batch. That deviation
    is a batch statistic: over several processes each takes that of its own share, so their sum
    differs slightly from what one process with the whole batch computes.

    Args:
        weight: the paper's lambda.
        every: apply at every n-th update of the discriminator, n times as strongly.
        scale: the noise's deviation as a share of the data's, at least 0.
        target: the paper's k, the norm that the gradient is drawn to, above 0.
    """

    conflicts = {WeightClip: BESIDE_A_PENALTY}

    def __init__(
        self, weight: float = 10.0, every: int = 1, scale: float = 0.5, target: float = 1.0
    ) -> None:
        super().__init__(weight, every)
        if scale < 0:
            raise ConfigError(f"DRAGAN: scale must be at least 0, got {scale}")
        if not target > 0:
            raise ConfigError(f"DRAGAN: target must be above 0, got {target}")
        self.scale = scale
        self.target = target

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns E[(|grad D(x + delta)| - target)^2], a scalar, for data [B, ...] of any shape."""
        deviation = self.scale * real.std(correction=0)
        packing = noise.rows // len(real)  # there is a row for each image, packed or not
        delta = noise.normal(*real.shape[1:])[::packing].to(real)
        perturbed = torch.addcmul(real, delta, deviation)
        return (norm(input_gradient(critic, perturbed)) - self.target).square().mean()
