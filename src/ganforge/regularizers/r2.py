from __future__ import annotations

from torch import Tensor

from ganforge.regularizers.context import Critic
from ganforge.regularizers.input_gradient import input_gradient, squared_norm
from ganforge.regularizers.zero_centered import ZeroCenteredPenalty
from ganforge.streams import Noise


class R2(ZeroCenteredPenalty):
    """1/2 E[|grad D(G(z))|^2], the squared gradient at generated images (arXiv:1801.04406)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns 1/2 E[|grad D(G(z))|^2], a scalar, for data [B, ...] of any shape."""
        return squared_norm(input_gradient(critic, fake)).mean() / 2
