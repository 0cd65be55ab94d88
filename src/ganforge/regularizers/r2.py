from __future__ import annotations

from torch import Tensor

from ganforge.regularizers.context import Critic
from ganforge.regularizers.input_gradient import input_gradient, squared_norm
from ganforge.regularizers.scheduled_weight import ScheduledWeight
from ganforge.regularizers.weight_clip import BESIDE_A_PENALTY, WeightClip
from ganforge.streams import Noise


class R2(ScheduledWeight):
    """1/2 E[|grad D(G(z))|^2], the squared gradient at generated images.

    Mescheder et al. 2018, arXiv:1801.04406. The half is part of the penalty, so that ``weight`` is
    the paper's gamma.

    Args:
        weight: the paper's gamma.
        every: apply at every n-th update of the discriminator, n times as strongly.
        final_weight: gamma at the end of a half-cosine decay, as in R3GAN (arXiv:2501.05441); None
            keeps ``weight``.
        decay_images: real images after which the decay ends.
    """

    conflicts = {WeightClip: BESIDE_A_PENALTY}

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns 1/2 E[|grad D(G(z))|^2], a scalar, for data [B, ...] of any shape."""
        return squared_norm(input_gradient(critic, fake)).mean() / 2
