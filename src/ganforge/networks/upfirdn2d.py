"""Resampling with a finite impulse response: upsample, pad, filter, downsample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError

Padding = tuple[int, int, int, int]  # left, right, top, bottom; negative ones crop


def filter_kernel(taps: Sequence[float] = (1.0, 3.0, 3.0, 1.0)) -> Tensor:
    """Returns taps scaled to sum 1, float32 [K]: one direction of a separable filter.

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
    """Puts up - 1 zeros behind each pixel, pads, filters, and keeps each down-th pixel.

    With u the image after zeros and padding, the result is

        y[i, j] = gain sum_ab k[K-1-a] k[K-1-b] u[i down + a, j down + b],

    a true convolution, in both directions alike. Made of convolutions, it can be differentiated any
    number of times. The filter's weights are never learned.

    Args:
        images: [B, C, H, W].
        kernel: [K], the separable filter's taps in one direction.
        up: factor of upsampling, at least 1.
        down: factor of downsampling, at least 1.
        padding: zeros on the left, right, top and bottom of the upsampled image, whose size is
            H up x W up. Negative numbers crop.
        gain: factor of the result, above 0; up^2 keeps the brightness of an upsampled image.

    Returns:
        [B, C, (H up + top + bottom - K) // down + 1, (W up + left + right - K) // down + 1].
    """
    taps = (kernel * gain**0.5).to(images.dtype)
    left, right, top, bottom = padding
    rows = _along(2, images, taps, up, down, (top, bottom))
    return _along(3, rows, taps, up, down, (left, right))


def upsample2d(images: Tensor, kernel: Tensor, up: int = 2) -> Tensor:
    """Returns [B, C, up H, up W] of images [B, C, H, W]: zeros between pixels, then the filter."""
    before, after = (len(kernel) + up - 1) // 2, (len(kernel) - up) // 2
    return upfirdn2d(images, kernel, up=up, padding=(before, after) * 2, gain=float(up**2))


def downsample2d(images: Tensor, kernel: Tensor, down: int = 2) -> Tensor:
    """Returns [B, C, H / down, W / down] of images [B, C, H, W]: the filter, then each n-th."""
    before, after = (len(kernel) - down + 1) // 2, (len(kernel) - down) // 2
    return upfirdn2d(images, kernel, down=down, padding=(before, after) * 2)


def filter2d(images: Tensor, kernel: Tensor, padding: Padding, gain: float = 1.0) -> Tensor:
    """Returns the filtered images, without resampling."""
    return upfirdn2d(images, kernel, padding=padding, gain=gain)


def _along(
    dim: int, images: Tensor, taps: Tensor, up: int, down: int, padding: tuple[int, int]
) -> Tensor:
    """Does it in one direction: 2 for columns, 3 for rows."""
    channels, reach = images.shape[1], len(taps) - 1
    kernel = (taps[:, None] if dim == 2 else taps[None, :]).expand(channels, 1, -1, -1)
    if up == 1:
        padded = _padded(images, dim, *padding)
        # PyTorch's convolution is a correlation: the filter is turned round.
        return F.conv2d(padded, kernel.flip(dim), stride=_steps(dim, down), groups=channels)
    # Each pixel adds the whole filter to the result: K - 1 zeros on both sides, already filtered,
    # and none behind the last pixel.
    spread = F.conv_transpose2d(images, kernel, stride=_steps(dim, up), groups=channels)
    filtered = _padded(spread, dim, padding[0] - reach, padding[1] + up - 1 - reach)
    return filtered[:, :, ::down] if dim == 2 else filtered[..., ::down]


def _steps(dim: int, step: int) -> tuple[int, int]:
    return (step, 1) if dim == 2 else (1, step)


def _padded(images: Tensor, dim: int, before: int, after: int) -> Tensor:
    if before == after == 0:
        return images
    return F.pad(images, (before, after, 0, 0) if dim == 3 else (0, 0, before, after))
