"""Convolution blocks of DCGAN: norm with ReLU, upsampling and downsampling blocks."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.networks.layers.normalization import ConditionalNorm, normalization


class NormReLU(nn.Module):
    """Norm, then ReLU; the norm is conditional if ``condition_dim`` > 0."""

    def __init__(self, channels: int, norm: str, condition_dim: int = 0) -> None:
        super().__init__()
        self.conditional = condition_dim > 0
        self.norm = (
            ConditionalNorm(norm, channels, condition_dim)
            if self.conditional
            else nn.Sequential(*normalization(norm, channels))
        )

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W] and conditions [B, condition_dim]."""
        normalized: Tensor = (
            self.norm(features, condition) if self.conditional else self.norm(features)
        )
        # Without a norm this is the input itself; a residual block still needs it, so not in place.
        return F.relu(normalized, inplace=normalized is not features)


class UpBlock(nn.Module):
    """Doubles the resolution: transposed convolution, norm, ReLU. [B, C, H, W] -> [B, C', 2H, 2W].

    The convolution has a bias only without a norm, because a norm would remove it.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: str, condition_dim: int) -> None:
        super().__init__()
        bias = norm == "none"
        self.convolution = nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1, bias=bias)
        self.norm = NormReLU(channels_out, norm, condition_dim)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Returns [B, C', 2H, 2W] of features [B, C, H, W]."""
        shaped: Tensor = self.norm(self.convolution(features), condition)
        return shaped


def down_block(
    channels_in: int, channels_out: int, norms: Iterable[nn.Module], bias: bool
) -> nn.Sequential:
    """Halves the resolution: convolution, norm, LeakyReLU. [B, C, H, W] -> [B, C', H/2, W/2]."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 4, 2, 1, bias=bias),
        *norms,
        nn.LeakyReLU(0.2, inplace=True),
    )
