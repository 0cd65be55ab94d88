from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.shapes import check_positive

# Of He et al. 2015 (arXiv:1502.01852): what a layer before a rectifier is scaled by.
HE_GAIN = math.sqrt(2)


class EqualizedLinear(nn.Module):
    """A linear layer that learns at the same speed as all others, whatever its size.

    Karras et al. 2018, arXiv:1710.10196, section 4.1: weights are drawn from N(0, 1) and scaled by
    gain / sqrt(fan_in) whenever they are used, so that Adam, whose steps do not depend on the scale
    of a gradient, changes all layers at one rate. With a gain of 1, inputs and outputs have the
    same variance at the start.

    A learning rate multiplier (Karras et al. 2019, arXiv:1812.04948, appendix C) makes that rate
    smaller: the parameters are stored divided by it and used multiplied by it.

    Args:
        in_features: F_in.
        out_features: F_out.
        bias: add a bias ...
        bias_init: ... that starts at this value.
        learning_rate_multiplier: how fast the layer learns, among its like.
        gain: standard deviation of the outputs where the inputs' is 1.
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
        check_positive("EqualizedLinear", "in_features", in_features)
        check_positive("EqualizedLinear", "out_features", out_features)
        _check_above_zero("EqualizedLinear", "gain", gain)
        _check_above_zero("EqualizedLinear", "learning_rate_multiplier", learning_rate_multiplier)
        self.in_features = in_features
        self.out_features = out_features
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
    """A convolution that learns at the same speed as all others, whatever its size.

    See :class:`EqualizedLinear`; fan_in is in_channels * kernel_size^2.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: side of the kernel.
        bias: add a bias for each channel, 0 at the start.
        gain: standard deviation of the outputs where the inputs' is 1.
        padding: zeros around the image; None for kernel_size // 2, which keeps the size of an
            image under an odd kernel.
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
        check_positive("EqualizedConv2d", "in_channels", in_channels)
        check_positive("EqualizedConv2d", "out_channels", out_channels)
        check_positive("EqualizedConv2d", "kernel_size", kernel_size)
        _check_above_zero("EqualizedConv2d", "gain", gain)
        if padding is not None and padding < 0:
            raise ConfigError(f"EqualizedConv2d: padding must be at least 0, got {padding}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.padding = kernel_size // 2 if padding is None else padding
        self.scale = gain / math.sqrt(in_channels * kernel_size**2)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C_out, H', W'] of features [B, C_in, H, W]."""
        return F.conv2d(features, self.weight * self.scale, self.bias, padding=self.padding)


def _check_above_zero(name: str, argument: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name}: {argument} must be above 0, got {value}")
