from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReflectedConvolution(nn.Conv2d):
    """Size-preserving convolution with reflection padding.

    Johnson et al. 2016, arXiv:1603.08155: zero padding causes artefacts at the border.

    Args:
        channels_in: C of the input.
        channels_out: C' of the output.
        kernel_size: odd.
        bias: whether to add a bias.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel_size, bias=bias)
        self.border = kernel_size // 2

    def forward(self, input: Tensor) -> Tensor:
        """Returns [B, C', H, W] of features [B, C, H, W]; H and W above kernel_size // 2."""
        return super().forward(reflect(input, self.border))


def reflect(features: Tensor, border: int) -> Tensor:
    """Returns [B, C, H + 2 border, W + 2 border], mirrored at the centers of the border pixels."""
    # On a GPU the backward of F.pad's reflection sums in no fixed order, and PyTorch raises an
    # error for it with trainer.deterministic=true.
    if torch.are_deterministic_algorithms_enabled() and features.is_cuda:
        return reflect_in_order(features, border)
    return F.pad(features, (border, border, border, border), mode="reflect")


def reflect_in_order(features: Tensor, border: int) -> Tensor:
    """Returns the same as :func:`reflect`, with a bit-reproducible gradient."""
    for axis in (-1, -2):
        length = features.shape[axis]
        before = features.narrow(axis, 1, border).flip(axis)
        after = features.narrow(axis, length - 1 - border, border).flip(axis)
        features = torch.cat([before, features, after], dim=axis)
    return features
