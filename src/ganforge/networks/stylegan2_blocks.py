"""Building blocks of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from functools import partial
from typing import Required, TypedDict, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.networks.layers.activation import leaky_relu
from ganforge.networks.layers.checkpointing import Checkpointed
from ganforge.networks.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganforge.networks.layers.modulated_convolution import modulated_convolution
from ganforge.networks.layers.styles import NoiseInput
from ganforge.networks.layers.upfirdn2d import Filtered, downsample2d, upfirdn2d, upsample2d

# Approximately restores the mean square, which leaky ReLU of slope 0.2 roughly halves; the value
# of Karras et al.
GAIN = math.sqrt(2)


def bias_act(
    features: Tensor,
    bias: Tensor | None = None,
    slope: float = 0.2,
    gain: float = GAIN,
    clamp: float | None = None,
) -> Tensor:
    """Returns clip(gain * leaky_relu(features + bias)), in the dtype of the features.

    The order of Karras et al. 2020, arXiv:2006.06676: the limit applies to the result, so that the
    next layer does not overflow in half precision, whose largest number is 65504.

    Args:
        features: [B, C, ...].
        bias: [C], or None.
        slope: slope of leaky ReLU below 0; 1 is the identity.
        gain: factor of the result.
        clamp: largest absolute value of the result; None for no limit.
    """
    if bias is not None:
        features = features + bias.to(features.dtype).reshape(-1, *[1] * (features.ndim - 2))
    if slope != 1:
        return leaky_relu(features, slope, gain, clamp)
    if gain != 1:
        features = features * gain
    return features if clamp is None else features.clamp(-clamp, clamp)


class ModulationArguments(TypedDict, total=False):
    """Arguments of modulated convolutions that are the same in all layers of a network."""

    w_dim: Required[int]
    grouped: bool
    clamp: float | None


class Modulated(Filtered):
    """Base class of modulated convolutions: the style scales the weights.

    The factors are an affine function of the style with bias initialized to 1. It is computed in
    full precision, because all features depend on it.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: side of the kernel.
        w_dim: length of styles.
        grouped: compute weights per image; see
            :func:`~ganforge.networks.layers.modulated_convolution.modulated_convolution`.
        clamp: largest absolute value of the outputs; None for none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        w_dim: int,
        grouped: bool = False,
        clamp: float | None = 256.0,
    ) -> None:
        super().__init__()
        self.grouped = grouped
        self.clamp = clamp
        self.affine = EqualizedLinear(w_dim, in_channels, bias_init=1.0)
        self.filters = EqualizedConv2d(in_channels, out_channels, kernel_size)

    def convolve(self, features: Tensor, w: Tensor, demodulate: bool, up: bool) -> Tensor:
        """Returns [B, C_out, H, W], twice as high and wide if ``up``, of features [B, C_in, H, W].

        Bias and activation are left to subclasses.
        """
        with torch.autocast(w.device.type, enabled=False):
            styles = self.affine(w.to(self.affine.weight.dtype))
            weight = self.filters.weight * self.filters.scale
        kernel = self.kernel if up else None
        return modulated_convolution(features, weight, styles, demodulate, kernel, self.grouped)


class StyledConvolution(Modulated):
    """Modulated and demodulated 3x3 convolution, noise map, bias, leaky ReLU.

    The output is ``side`` x ``side``, after doubling with ``up``; ``layer`` is the index of the
    layer, which selects its constant noise map.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        side: int,
        layer: int,
        up: bool = False,
        **modulation: Unpack[ModulationArguments],
    ) -> None:
        super().__init__(in_channels, out_channels, 3, **modulation)
        self.up = up
        self.noise = NoiseInput(1, side, layer)  # one strength for all channels

    def forward(self, features: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """Returns [B, C_out, side, side].

        Args:
            features: [B, C_in, H, W].
            w: styles [B, w_dim].
            noise: maps [B or 1, 1, side, side]; None for the constant map.
        """
        convolved = self.convolve(features, w, demodulate=True, up=self.up)
        return bias_act(self.noise(convolved, noise), self.filters.bias, clamp=self.clamp)


class ToImage(Modulated):
    """Modulated 1x1 convolution to the image's channels, without demodulation."""

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C_in, H, W] and styles [B, w_dim]."""
        colors = self.convolve(features, w, demodulate=False, up=False)
        return bias_act(colors, self.filters.bias, slope=1.0, gain=1.0, clamp=self.clamp)


class SynthesisStage(Checkpointed, Filtered):
    """One resolution of the skip generator: convolutions and their contribution to the image.

    The output is ``side`` x ``side``; 4x4 starts from a constant and ignores ``in_channels``, those
    of the stage below. With ``half`` it runs in half precision under autocast.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: int,
        side: int,
        half: bool,
        **modulation: Unpack[ModulationArguments],
    ) -> None:
        super().__init__()
        self.half_precision = half
        stage = side.bit_length() - 3  # 0 at 4x4
        inputs = [in_channels, out_channels] if stage > 0 else [out_channels]
        first = max(2 * stage - 1, 0)  # index of its first layer
        ups = [stage > 0, False]
        self.layers = nn.ModuleList(
            StyledConvolution(inner, out_channels, side, first + i, ups[i], **modulation)
            for i, inner in enumerate(inputs)
        )
        self.to_image = ToImage(out_channels, channels, 1, **modulation)

    def forward(
        self, features: Tensor, image: Tensor | None, ws: Tensor, noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """Returns features [B, C_out, side, side] and the image [B, C, side, side] so far, float32.

        Args:
            features: features of the stage below, [B, C_in, side / 2, side / 2].
            image: image of the stage below; None at 4x4.
            ws: styles of the stage's layers, the image layer last: [B, layers + 1, w_dim].
            noise: a noise map for each layer; None for the constant map.
        """
        with precision(features.device.type, self.half_precision):
            for index, (layer, drawn) in enumerate(zip(self.layers, noise, strict=True)):
                features = layer(features, ws[:, index], drawn)
            added = self.to_image(features, ws[:, -1]).to(self.to_image.filters.weight.dtype)
        # The image is accumulated over all resolutions in full precision.
        with precision(features.device.type, half=False):
            return features, added if image is None else added + upsample2d(image, self.kernel)


class FilteredConvolution(Filtered):
    """Equalized convolution with bias and leaky ReLU, and optional downsampling by 2.

    Downsampling smooths with the filter [1, 3, 3, 1] before it drops pixels. ``linear`` omits bias
    and leaky ReLU; ``clamp`` limits the absolute value of the outputs before the factor ``gain``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        down: bool = False,
        linear: bool = False,
        gain: float = 1.0,
        clamp: float | None = 256.0,
    ) -> None:
        super().__init__()
        self.down = down
        self.slope, self.gain = (1.0, gain) if linear else (0.2, gain * GAIN)
        self.clamp = None if clamp is None else clamp * gain
        self.filters = EqualizedConv2d(in_channels, out_channels, kernel_size, bias=not linear)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C_out, H, W] of features [B, C_in, H, W], or half as high and wide."""
        convolved = self._convolved(features, self.filters.weight * self.filters.scale)
        return bias_act(convolved, self.filters.bias, self.slope, self.gain, self.clamp)

    def _convolved(self, features: Tensor, weight: Tensor) -> Tensor:
        reach = weight.shape[-1] // 2
        if not self.down:
            return F.conv2d(features, weight, padding=reach)
        if reach == 0:  # a 1x1 kernel commutes with the downsampling, which is cheaper first
            return F.conv2d(downsample2d(features, self.kernel), weight)
        taps = len(self.kernel)
        around = (reach + (taps - 1) // 2, reach + (taps - 2) // 2) * 2
        return F.conv2d(upfirdn2d(features, self.kernel, padding=around), weight, stride=2)


class DiscriminatorStage(Checkpointed):
    """One resolution of the discriminator: two 3x3 convolutions with downsampling by 2.

    With ``residual`` it adds a 1x1 convolution of the input, and scales both branches by sqrt(1/2)
    to preserve the variance (section 4.1); otherwise it is the chain of Karras et al. 2018. With
    ``half`` it runs in half precision under autocast; otherwise always in full precision.
    """

    def __init__(
        self, in_channels: int, out_channels: int, residual: bool, half: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.half_precision = half
        gain = math.sqrt(0.5) if residual else 1.0
        self.first = FilteredConvolution(in_channels, in_channels, 3, clamp=clamp)
        halving = partial(FilteredConvolution, in_channels, out_channels, down=True, gain=gain)
        self.second = halving(kernel_size=3, clamp=clamp)
        self.skip = halving(kernel_size=1, linear=True, clamp=None) if residual else None

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C_out, H/2, W/2] of features [B, C_in, H, W]."""
        with precision(features.device.type, self.half_precision):
            if not self.half_precision:
                features = features.to(self.first.filters.weight.dtype)
            halved: Tensor = self.second(self.first(features))
            return halved if self.skip is None else self.skip(features) + halved


def precision(device_type: str, half: bool) -> contextlib.AbstractContextManager[object]:
    """Returns a context that disables autocast, or leaves it unchanged if ``half``."""
    return contextlib.nullcontext() if half else torch.autocast(device_type, enabled=False)


def in_half_precision(side: int, image_size: int, stages: int) -> bool:
    """Whether a stage is among the ``stages`` largest ones, which may run in half precision.

    4x4 never does (Karras et al. 2020, arXiv:2006.06676, appendix D).
    """
    return side > 4 and side << stages > image_size
