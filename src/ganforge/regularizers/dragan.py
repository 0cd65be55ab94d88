from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import require
from ganforge.regularizers.context import Critic
from ganforge.regularizers.input_gradient import input_gradient, norm
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.weight_clip import NEXT_TO_A_PENALTY, WeightClip
from ganforge.streams import Noise


class DRAGAN(Regularizer):
    """E[(|grad D(x + delta)| - target)^2] at real images with added noise.

    Kodali et al. 2017, arXiv:1705.07215. delta ~ N(0, c^2 I), drawn for each value of each image,
    where c = ``scale`` times the standard deviation of all values of the real batch. That deviation
    is a batch statistic: with several processes, each uses its own part of the batch, so the result
    differs slightly from that of one process with the whole batch.

    Args:
        weight: the paper's lambda.
        every: apply at every n-th update of the discriminator, n times as strongly.
        scale: standard deviation of the noise as a fraction of the data's, at least 0.
        target: the paper's k, the target of the gradient's norm, above 0.
        precision: see Regularizer.
    """

    conflicts = {WeightClip: NEXT_TO_A_PENALTY}

    def __init__(
        self,
        weight: float = 10.0,
        every: int = 1,
        scale: float = 0.5,
        target: float = 1.0,
        precision: str = "float32",
    ) -> None:
        super().__init__(weight, every, precision)
        require(scale >= 0, f"DRAGAN: scale must be at least 0, got {scale}")
        require(target > 0, f"DRAGAN: target must be above 0, got {target}")
        self.scale = scale
        self.target = target

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns E[(|grad D(x + delta)| - target)^2], a scalar, for data [B, ...] of any shape."""
        deviation = self.scale * real.std(correction=0)
        packing = noise.rows // len(real)  # noise has one row per image, even if they are packed
        delta = noise.normal(*real.shape[1:])[::packing].to(real)
        perturbed = torch.addcmul(real, delta, deviation)
        return (norm(input_gradient(critic, perturbed)) - self.target).square().mean()
