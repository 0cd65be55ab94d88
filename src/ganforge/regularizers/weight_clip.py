from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrize

from ganforge.errors import ConfigError, require
from ganforge.regularizers.regularizer import Regularizer

NEXT_TO_A_PENALTY = (
    "weight clipping and a gradient penalty both bound the critic, and the clip wins. Use one of "
    "the two"
)


class WeightClip(Regularizer):
    """Clips every weight of the critic to [-bound, bound], so that it stays Lipschitz.

    Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1. As in the paper, biases and normalization
    weights are clipped too. It is a constraint, not a penalty: it has no weight and is applied
    after each update of the critic.

    Args:
        bound: the paper's c, above 0.
    """

    second_order = False

    def __init__(self, bound: float = 0.01) -> None:
        super().__init__()
        require(bound > 0, f"WeightClip: bound must be above 0, got {bound}")
        self.bound = bound

    def check(self, player: nn.Module) -> None:
        """Raises ConfigError if ``player`` has normalized weights, which clipping cannot bound."""
        for name, module in player.named_modules():
            if parametrize.is_parametrized(module):
                raise ConfigError(
                    f"weight_clip: weights of the discriminator are normalized ({name}). They are "
                    "clipped before normalization, which undoes the bound. Use regularizer=[] or a "
                    "network without spectral norm"
                )

    @torch.no_grad()
    def constrain(self, player: nn.Module) -> None:
        """Clamps the parameters of ``player`` in place."""
        weights = [parameter.data for parameter in player.parameters()]
        if weights:  # foreach functions reject empty lists
            torch._foreach_clamp_min_(weights, -self.bound)
            torch._foreach_clamp_max_(weights, self.bound)
