"""Blocks of convolutional networks: residual as in WGAN-GP and SNGAN, plain as in DCGAN."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.networks.layers.initialization import initialize_glorot
from ganforge.networks.layers.normalization import ConditionalNorm, normalization
from ganforge.networks.layers.progressive import double


class UpResidualBlock(nn.Module):
    """Norm, ReLU, upsampling, convolution, norm, ReLU, convolution; plus a shortcut.

    Gulrajani et al. 2017, arXiv:1704.00028; Miyato et al. 2018, arXiv:1802.05957. Upsampling
    repeats each pixel 2x2; the shortcut is upsampling and a 1x1 convolution. The norms are
    conditional if ``condition_dim`` > 0.
    """

    def __init__(
        self, channels_in: int, channels_out: int, norm: str, condition_dim: int = 0
    ) -> None:
        super().__init__()
        self.first_norm = NormReLU(channels_in, norm, condition_dim)
        self.first_convolution = _convolution(channels_in, channels_out)
        self.second_norm = NormReLU(channels_out, norm, condition_dim)
        self.second_convolution = _convolution(channels_out, channels_out)
        self.shortcut = _pointwise(channels_in, channels_out)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Returns [B, C', 2H, 2W] of features [B, C, H, W] and conditions [B, condition_dim]."""
        inner = self.first_convolution(double(self.first_norm(features, condition)))
        residual: Tensor = self.second_convolution(self.second_norm(inner, condition))
        # The published order is upsampling, then 1x1; this is equal at a quarter of the cost.
        return residual + double(self.shortcut(features))


class DownResidualBlock(nn.Module):
    """Norm, ReLU, convolution, norm, ReLU, convolution, mean pooling; plus a shortcut.

    Gulrajani et al. 2017, arXiv:1704.00028; Miyato et al. 2018, arXiv:1802.05957. As in the code of
    the latter, the channels change in the second convolution. Without ``down`` there is no pooling.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: str, down: bool = True) -> None:
        super().__init__()
        self.down = down
        self.first_norm = NormReLU(channels_in, norm)
        self.first_convolution = _convolution(channels_in, channels_in)
        self.second_norm = NormReLU(channels_in, norm)
        self.second_convolution = _convolution(channels_in, channels_out)
        same = channels_in == channels_out and not down
        self.shortcut = nn.Identity() if same else _pointwise(channels_in, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', H/2, W/2] of features [B, C, H, W], or [B, C', H, W] without ``down``."""
        inner = self.first_convolution(self.first_norm(features))
        residual: Tensor = self.second_convolution(self.second_norm(inner))
        shortcut: Tensor = features
        if self.down:
            residual, shortcut = F.avg_pool2d(residual, 2), F.avg_pool2d(features, 2)
        # The published order is 1x1, then pooling; this is equal at a quarter of the cost.
        shortcut = self.shortcut(shortcut)
        return residual + shortcut


class FirstDownBlock(nn.Module):
    """First downsampling block, applied to images: no norm or ReLU before the first convolution.

    Miyato et al. 2018, arXiv:1802.05957 ("optimized block" in the authors' code): a ReLU would
    remove all pixel values below mid-gray. [B, C, H, W] -> [B, C', H/2, W/2].
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first_convolution = _convolution(channels_in, channels_out)
        self.second_convolution = _convolution(channels_out, channels_out)
        self.shortcut = _pointwise(channels_in, channels_out)

    def forward(self, images: Tensor) -> Tensor:
        """Returns features [B, C', H/2, W/2] of images [B, C, H, W]."""
        inner = F.relu(self.first_convolution(images), inplace=True)
        residual: Tensor = self.second_convolution(inner)
        shortcut: Tensor = self.shortcut(F.avg_pool2d(images, 2))
        return F.avg_pool2d(residual, 2) + shortcut


def _convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    initialize_glorot(layer, math.sqrt(2))
    return layer


def _pointwise(channels_in: int, channels_out: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels_in, channels_out, 1)
    initialize_glorot(layer)
    return layer


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
