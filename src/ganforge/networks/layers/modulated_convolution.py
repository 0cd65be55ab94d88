"""Modulated convolution (Karras et al. 2020, arXiv:1912.04958, section 2.2).

With w'_ijk = s_i w_ijk for input channel i, output channel j and kernel position k, and, if
demodulated,

    w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps),

each image is convolved with its own weights. Two implementations give the same numbers: a grouped
convolution with weights per image; or a convolution with the shared weights, after scaling the
input channels by s and before scaling the output channels by 1 / sqrt(...). The first needs memory
for B times the weights. The second makes two additional passes over the feature maps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.networks.layers.convolution import conv2d, conv_transpose2d
from ganforge.networks.layers.upfirdn2d import upfirdn2d

EPSILON = 1e-8


def modulated_convolution(
    features: Tensor,
    weight: Tensor,
    styles: Tensor,
    demodulate: bool = True,
    upsampling: Tensor | None = None,
    grouped: bool = False,
) -> Tensor:
    """Returns features convolved with weights that are scaled by each image's style.

    Without ``grouped``, intermediate results do not overflow in half precision: inputs are scaled
    by styles normalized to maximum 1, and the output factors are multiplied in float32.

    Args:
        features: [B, C_in, H, W].
        weight: [C_out, C_in, K, K], K odd; already scaled by 1 / sqrt(fan_in) if equalized.
        styles: [B, C_in], the factors s.
        demodulate: divide by the norm of each output channel's weights.
        upsampling: [F], a filter for upsampling by 2; None keeps the size.
        grouped: compute weights per image and use a grouped convolution.

    Returns:
        [B, C_out, H, W], or twice as high and wide.
    """
    scales = demodulation(weight, styles) if demodulate else None
    if grouped:
        weights = modulated_weights(weight, styles, scales).to(features.dtype)
        return _convolve_each(features, weights, upsampling)
    # Dividing by the peak here and multiplying by it below cancels up to rounding, so the peak can
    # be detached: it is a constant in all derivatives.
    peak = styles.detach().abs().amax(dim=1, keepdim=True)
    peak = torch.where(peak > 0, peak, torch.ones_like(peak))
    scaled = features * (styles / peak).to(features.dtype)[:, :, None, None]
    convolved = _convolve(scaled, weight, upsampling)
    after = peak.expand(-1, len(weight)) if scales is None else scales * peak
    return convolved * after.to(convolved.dtype)[:, :, None, None]


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """Returns 1 / sqrt(sum_ik (s_i w_ijk)^2 + eps), [B, C_out], in full precision.

    Args:
        weight: [C_out, C_in, K, K].
        styles: [B, C_in].
    """
    with torch.autocast(weight.device.type, enabled=False):
        squares = weight.square().sum(dim=(2, 3))
        energy: Tensor = styles.to(weight.dtype).square() @ squares.T
        return (energy + EPSILON).rsqrt()


def modulated_weights(weight: Tensor, styles: Tensor, scales: Tensor | None = None) -> Tensor:
    """Returns the weights w' of each image, or w'' with ``scales``: [B, C_out, C_in, K, K].

    Args:
        weight: [C_out, C_in, K, K].
        styles: [B, C_in].
        scales: [B, C_out], see :func:`demodulation`.
    """
    weights = weight[None] * styles.to(weight.dtype)[:, None, :, None, None]
    return weights if scales is None else weights * scales[:, :, None, None, None]


def _convolve(features: Tensor, weight: Tensor, upsampling: Tensor | None) -> Tensor:
    """Convolves all images with the same weights, [C_out, C_in, K, K]."""
    if upsampling is None:
        return F.conv2d(features, weight.to(features.dtype), padding=weight.shape[-1] // 2)
    # Inserting zeros between pixels, convolution and filter commute; this order skips the zeros.
    flipped = weight.to(features.dtype).flip(2, 3).transpose(0, 1)
    spread = F.conv_transpose2d(features, flipped, stride=2)
    return _smoothed(spread, weight.shape[-1], upsampling)


def _convolve_each(features: Tensor, weights: Tensor, upsampling: Tensor | None) -> Tensor:
    """Convolves each image with its own weights, [B, C_out, C_in, K, K]: one group per image."""
    batch, channels_out, channels_in, side = weights.shape[:4]
    joined = features.reshape(1, -1, *features.shape[2:])
    if upsampling is None:
        flat = weights.reshape(-1, channels_in, side, side)
        convolved = conv2d(joined, flat, padding=side // 2, groups=batch)
    else:
        flipped = weights.flip(3, 4).transpose(1, 2).reshape(-1, channels_out, side, side)
        convolved = conv_transpose2d(joined, flipped, stride=2, groups=batch)
    convolved = convolved.reshape(batch, channels_out, *convolved.shape[2:])
    return convolved if upsampling is None else _smoothed(convolved, side, upsampling)


def _smoothed(spread: Tensor, side: int, kernel: Tensor) -> Tensor:
    """Filters the output of a transposed convolution of stride 2; crops it to twice the input."""
    # Together, the two filters extend over side + F - 1 pixels. The convolution's own padding
    # takes side // 2 of them, upsampling (F + 1) // 2 on the left and (F - 2) // 2 on the right.
    before = side // 2 + (len(kernel) + 1) // 2 - (side - 1)
    after = side // 2 + (len(kernel) - 2) // 2 - (side - 2)
    return upfirdn2d(spread, kernel, padding=(before, after) * 2, gain=4.0)
