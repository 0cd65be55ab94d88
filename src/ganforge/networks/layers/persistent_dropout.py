from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError


class LastingDropout(nn.Module):
    """Dropout that evaluation does not turn off: the noise from which Pix2Pix draws.

    Isola et al. 2017, arXiv:1611.07004, section 3.1. An element is 0 with the probability p, and
    else divided by 1 - p, in training and after it. Draws come from PyTorch's global stream, which
    who runs the network seeds (:func:`ganforge.streams.seed_layers`).

    Args:
        p: probability with which an element is dropped, in [0, 1).
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        """Returns features [B, C, H, W], each element dropped on its own."""
        return F.dropout(features, self.p, training=True)

    def extra_repr(self) -> str:
        """Returns what PyTorch prints of the layer."""
        return f"p={self.p}"


def lasting_dropout(p: float) -> list[nn.Module]:
    """Returns the layer to put behind a norm: one module, or none at p = 0."""
    return [LastingDropout(p)] if p > 0 else []


def check_dropout(name: str, dropout: float) -> None:
    """Refuses what is not the probability of dropping some elements, but not all."""
    if not 0 <= dropout < 1:
        raise ConfigError(f"{name}: dropout must be in [0, 1), got {dropout}")
