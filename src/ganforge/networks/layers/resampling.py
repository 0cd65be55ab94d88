"""Bilinear upsampling and downsampling by 2, with the filter [1, 2, 1]."""

from __future__ import annotations

from torch import Tensor, nn

from ganforge.networks.layers.upfirdn2d import downsample2d, filter_kernel, upsample2d


class Upsample(nn.Module):
    """Bilinear upsampling by 2, with zeros beyond the border.

    Each pixel is repeated 2x2 and smoothed by [1, 2, 1] / 4 in both directions, which together is
    the filter [1, 3, 3, 1].
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", filter_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, 2H, 2W] of features [B, C, H, W]."""
        return upsample2d(features, self.kernel)


class Downsample(nn.Module):
    """Downsampling by 2: smoothing by [1, 2, 1] / 4 in both directions, then 2x2 mean pooling.

    Pixels beyond the border are zeros. It is the transpose of :class:`Upsample` up to a factor of
    4, which preserves the mean.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", filter_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H/2, W/2] of features [B, C, H, W]."""
        return downsample2d(features, self.kernel)
