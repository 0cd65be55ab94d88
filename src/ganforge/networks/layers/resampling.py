"""Doubling and halving images with the filter [1, 2, 1]: what bilinear interpolation does."""

from __future__ import annotations

from torch import Tensor, nn

from ganforge.networks.layers.upfirdn2d import downsample2d, filter_kernel, upsample2d


class Upsample(nn.Module):
    """Bilinear interpolation to twice the size, with zeros beyond the border.

    Each pixel is repeated 2x2 and smoothed by [1, 2, 1] / 4 in both directions: [1, 3, 3, 1].
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", filter_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, 2H, 2W] of features [B, C, H, W]."""
        return upsample2d(features, self.kernel)


class Downsample(nn.Module):
    """Half the size: smoothing by [1, 2, 1] / 4 in both directions, then the mean over 2x2.

    Beyond the border are zeros. It is the transpose of :class:`Upsample` but for a factor of 4,
    which keeps the mean.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", filter_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H/2, W/2] of features [B, C, H, W]."""
        return downsample2d(features, self.kernel)
