"""The two layers that DCGAN is made of."""

from __future__ import annotations

from torch import nn

from ganforge.networks.normalization import normalization


def up_block(channels_in: int, channels_out: int, norm: str) -> nn.Sequential:
    """Doubles the resolution: transposed convolution, norm, ReLU. [B, C, H, W] -> [B, C', 2H, 2W].

    A bias before a norm would be taken out again, so there is one only without a norm.
    """
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1, bias=norm == "none"),
        *normalization(norm, channels_out),
        nn.ReLU(inplace=True),
    )


def down_block(channels_in: int, channels_out: int, norm: str, bias: bool) -> nn.Sequential:
    """Halves the resolution: convolution, norm, LeakyReLU. [B, C, H, W] -> [B, C', H/2, W/2]."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 4, 2, 1, bias=bias),
        *normalization(norm, channels_out),
        nn.LeakyReLU(0.2, inplace=True),
    )
