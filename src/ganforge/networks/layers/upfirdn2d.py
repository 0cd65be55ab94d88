"""Resampling with a finite impulse response: upsample, pad, filter, downsample."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.convolution import conv2d, conv_transpose2d

Padding = tuple[int, int, int, int]  # left, right, top, bottom; negative values crop


def filter_kernel(taps: Sequence[float] = (1.0, 3.0, 3.0, 1.0)) -> Tensor:
    """Returns taps normalized to sum 1, float32 [K]: one direction of a separable filter.

    The default is bilinear interpolation (Zhang 2019, arXiv:1904.11486; Karras et al. 2020,
    arXiv:1912.04958).
    """
    total = sum(taps)
    if total == 0:
        raise ConfigError(f"filter_kernel: taps must be numbers whose sum is not 0, got {taps}")
    return torch.tensor(taps, dtype=torch.float32) / total


def upfirdn2d(
    images: Tensor,
    kernel: Tensor,
    up: int = 1,
    down: int = 1,
    padding: Padding = (0, 0, 0, 0),
    gain: float = 1.0,
) -> Tensor:
    """Inserts up - 1 zeros after each pixel, pads, filters, and keeps every down-th pixel.

    With u the image after zeros and padding, the result is

        y[i, j] = gain sum_ab k[K-1-a] k[K-1-b] u[i down + a, j down + b],

    a true convolution with the same taps in both directions. It can be differentiated any number of
    times: each derivative is again a filter. The filter itself is not learned. It is applied as one
    2D filter, which is faster than two 1D passes for short filters.

    Args:
        images: [B, C, H, W].
        kernel: [K], the separable filter's taps in one direction.
        up: upsampling factor, at least 1.
        down: downsampling factor, at least 1.
        padding: zeros on the left, right, top and bottom of the upsampled image, whose size is
            H up x W up. Negative values crop.
        gain: factor of the result, above 0; up^2 preserves the brightness when upsampling.

    Returns:
        [B, C, (H up + top + bottom - K) // down + 1, (W up + left + right - K) // down + 1].
    """
    # On the CPU, PyTorch does not vectorize depthwise convolutions in half precision: they are tens
    # of times slower than in float32.
    if images.device.type == "cpu" and images.dtype in (torch.bfloat16, torch.float16):
        return upfirdn2d(images.float(), kernel, up, down, padding, gain).to(images.dtype)
    square = (gain * torch.outer(kernel, kernel)).to(images.dtype)
    with _full_precision_on_cpu(images.device):
        if up == 1:
            return _filtered(images, square, down, padding)
        enlarged = _enlarged(images, square, up, padding)
        return enlarged if down == 1 else enlarged[:, :, ::down, ::down]


def _filtered(images: Tensor, square: Tensor, down: int, padding: Padding) -> Tensor:
    """Pads, filters, and keeps every down-th pixel.

    Args:
        images: [B, C, H, W].
        square: [K, K], the filter.
        down: downsampling factor.
        padding: see :func:`upfirdn2d`.
    """
    channels = images.shape[1]
    # PyTorch's convolution is a cross-correlation, so its filter is flipped.
    weight = square.flip(0, 1).expand(channels, 1, *square.shape)
    inner, outer = _split(padding)
    padded = _padded(images, outer)
    return conv2d(padded, weight, stride=down, padding=inner, groups=channels)


def _enlarged(images: Tensor, square: Tensor, up: int, padding: Padding) -> Tensor:
    """Inserts up - 1 zeros after each pixel, pads and filters; arguments as of the above."""
    channels, taps = images.shape[1], len(square)
    weight = square.expand(channels, 1, taps, taps)
    # A transposed convolution adds the whole filter at each pixel. This is the result for K - 1
    # zeros of padding on all sides, and without the up - 1 zeros after the last pixel.
    left, right, top, bottom = (extent - taps + 1 for extent in padding)
    inner, outer = _split((-left, 1 - up - right, -top, 1 - up - bottom))
    spread = conv_transpose2d(images, weight, stride=up, padding=inner, groups=channels)
    return _padded(spread, cast(Padding, tuple(-extent for extent in outer)))


def upsample2d(images: Tensor, kernel: Tensor, up: int = 2) -> Tensor:
    """Returns [B, C, up H, up W] of images [B, C, H, W]: inserts zeros, then filters."""
    before, after = (len(kernel) + up - 1) // 2, (len(kernel) - up) // 2
    return upfirdn2d(images, kernel, up=up, padding=(before, after) * 2, gain=float(up**2))


def downsample2d(images: Tensor, kernel: Tensor, down: int = 2) -> Tensor:
    """Returns [B, C, H / down, W / down] of images [B, C, H, W]: filters, then drops pixels."""
    before, after = (len(kernel) - down + 1) // 2, (len(kernel) - down) // 2
    return upfirdn2d(images, kernel, down=down, padding=(before, after) * 2)


class Filtered(nn.Module):
    """Base class of layers with the filter [1, 3, 3, 1] / 8, which is not saved."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", filter_kernel(), persistent=False)


class Upsample(Filtered):
    """Bilinear upsampling by 2, with zeros beyond the border.

    Each pixel is repeated 2x2 and smoothed by [1, 2, 1] / 4 in both directions, which together is
    the filter [1, 3, 3, 1].
    """

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, 2H, 2W] of features [B, C, H, W]."""
        return upsample2d(features, self.kernel)


class Downsample(Filtered):
    """Downsampling by 2: smoothing by [1, 2, 1] / 4 in both directions, then 2x2 mean pooling.

    Pixels beyond the border are zeros. It is the transpose of :class:`Upsample` up to a factor of
    4, which preserves the mean.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H/2, W/2] of features [B, C, H, W]."""
        return downsample2d(features, self.kernel)


def _full_precision_on_cpu(device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast("cpu", enabled=False) if device.type == "cpu" else nullcontext()


def _split(padding: Padding) -> tuple[tuple[int, int], Padding]:
    """Splits padding into what a convolution does itself, (vertical, horizontal), and the rest.

    A convolution pads opposite sides equally, and does not crop. It does so without a copy.
    """
    left, right, top, bottom = padding
    across, down = max(min(left, right), 0), max(min(top, bottom), 0)
    return (down, across), (left - across, right - across, top - down, bottom - down)


def _padded(images: Tensor, padding: Padding) -> Tensor:
    return F.pad(images, padding) if any(padding) else images
