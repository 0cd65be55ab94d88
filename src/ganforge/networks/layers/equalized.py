from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.shapes import check_at_least

# Gain of He et al. 2015 (arXiv:1502.01852) for a layer before a rectifier.
HE_GAIN = math.sqrt(2)


class EqualizedLinear(nn.Module):
    """Linear layer with equalized learning rate.

    Karras et al. 2018, arXiv:1710.10196, section 4.1: weights are drawn from N(0, 1) and scaled by
    gain / sqrt(fan_in) at runtime. Adam's steps do not depend on the scale of a gradient, so all
    layers then learn at the same speed. With a gain of 1, inputs and outputs have the same variance
    at initialization.

    A learning rate multiplier (Karras et al. 2019, arXiv:1812.04948, appendix C) changes that
    speed: the parameters are stored divided by it and used multiplied by it.

    Args:
        in_features: F_in.
        out_features: F_out.
        bias: whether to add a bias.
        bias_init: initial value of the bias.
        learning_rate_multiplier: learning rate relative to other equalized layers.
        gain: initial standard deviation of the outputs for inputs of standard deviation 1.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        bias_init: float = 0.0,
        learning_rate_multiplier: float = 1.0,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_at_least(name, 1, in_features=in_features, out_features=out_features)
        _check_above_zero(name, gain=gain, learning_rate_multiplier=learning_rate_multiplier)
        self.multiplier = learning_rate_multiplier
        self.scale = learning_rate_multiplier * gain / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.normal_(self.weight, 0.0, 1 / learning_rate_multiplier)
        start = torch.full((out_features,), bias_init / learning_rate_multiplier)
        self.bias = nn.Parameter(start) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        """Returns [..., F_out] of features [..., F_in]."""
        bias = None if self.bias is None else self.bias * self.multiplier
        return F.linear(features, self.weight * self.scale, bias)


class EqualizedConv2d(nn.Module):
    """Convolution with equalized learning rate.

    See :class:`EqualizedLinear`; fan_in is in_channels * kernel_size^2.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: side of the kernel.
        bias: whether to add a bias per channel, initialized with 0.
        gain: initial standard deviation of the outputs for inputs of standard deviation 1.
        padding: zero padding; None for kernel_size // 2, which keeps the size for an odd kernel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        gain: float = 1.0,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        sizes = {"in_channels": in_channels, "out_channels": out_channels}
        check_at_least(name, 1, **sizes, kernel_size=kernel_size)
        check_at_least(name, 0, padding=padding or 0)
        _check_above_zero(name, gain=gain)
        self.padding = kernel_size // 2 if padding is None else padding
        self.scale = gain / math.sqrt(in_channels * kernel_size**2)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C_out, H', W'] of features [B, C_in, H, W]."""
        return F.conv2d(features, self.weight * self.scale, self.bias, padding=self.padding)


def _check_above_zero(name: str, **values: float) -> None:
    for argument, value in values.items():
        if not value > 0:
            raise ConfigError(f"{name}: {argument} must be above 0, got {value}")
