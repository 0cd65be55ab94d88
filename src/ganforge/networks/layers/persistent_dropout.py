from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError


class PersistentDropout(nn.Module):
    """Dropout that stays active in evaluation; it is the noise source of Pix2Pix.

    Isola et al. 2017, arXiv:1611.07004, section 3.1. An element is set to 0 with probability p and
    otherwise divided by 1 - p, in training and evaluation mode. It draws from PyTorch's global
    generators, which the caller must seed (:func:`ganforge.streams.seed_layers`).

    Args:
        p: probability of dropping an element, in [0, 1).
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        """Returns features [B, C, H, W] with elements dropped independently."""
        return F.dropout(features, self.p, training=True)

    def extra_repr(self) -> str:
        """Returns the arguments that PyTorch shows in the layer's repr."""
        return f"p={self.p}"


def dropout_layers(p: float) -> list[nn.Module]:
    """Returns the layer to insert after a norm: a list of one module, or empty for p = 0."""
    return [PersistentDropout(p)] if p > 0 else []


def check_dropout(name: str, dropout: float) -> None:
    """Raises ConfigError unless the dropout probability is in [0, 1)."""
    if not 0 <= dropout < 1:
        raise ConfigError(f"{name}: dropout must be in [0, 1), got {dropout}")
