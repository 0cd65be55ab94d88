"""Doubling and halving images with the filter [1, 2, 1]: what bilinear interpolation does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def bilinear_kernel() -> Tensor:
    """Returns [1, 1, 4, 4], of sum 1: [1, 2, 1] in both directions upon the 2x2 box.

    That is [1, 3, 3, 1] in each direction.
    """
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(row, row)[None, None]


class Upsample(nn.Module):
    """Bilinear interpolation to twice the size, with zeros beyond the border.

    Each pixel is repeated 2x2 and smoothed by [1, 2, 1] / 4 in both directions.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", 4 * bilinear_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, 2H, 2W] of features [B, C, H, W]."""
        channels = features.shape[1]
        kernel = self.kernel.expand(channels, 1, 4, 4)
        return F.conv_transpose2d(features, kernel, stride=2, padding=1, groups=channels)


class Downsample(nn.Module):
    """Half the size: smoothing by [1, 2, 1] / 4 in both directions, then the mean over 2x2.

    Beyond the border are zeros. It is the transpose of :class:`Upsample` but for a factor of 4,
    which keeps the mean.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", bilinear_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H/2, W/2] of features [B, C, H, W]."""
        channels = features.shape[1]
        kernel = self.kernel.expand(channels, 1, 4, 4)
        return F.conv2d(features, kernel, stride=2, padding=1, groups=channels)
