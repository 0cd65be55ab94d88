from __future__ import annotations

import functools
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function


class _Settings(NamedTuple):
    slope: float
    gain: float
    clamp: float | None


def leaky_relu(
    features: Tensor, slope: float = 0.2, gain: float = 1.0, clamp: float | None = None
) -> Tensor:
    """Scales and clips the result of leaky ReLU, and keeps only the final result for gradients.

        y = clip(gain * leaky_relu(x))

    The derivative follows from the result: its sign, and whether it is inside of the limits.
    PyTorch would keep the input of each of the three steps. The next layer mostly keeps the result
    as well, so that an activation takes no memory of its own. The code of Karras et al. 2020
    (arXiv:2006.06676) does the same in one kernel.

    Args:
        features: any shape.
        slope: slope below 0, at least 0.
        gain: factor of the result, above 0.
        clamp: largest absolute value of the result; None for no limit. At the limit itself the
            derivative is 0.
    """
    if torch.compiler.is_compiling():  # the compiler decides itself what is kept
        return _activated(features, _Settings(slope, gain, clamp))
    limit = None if clamp is None else _rounded(clamp, features.dtype)
    return cast(Tensor, _LeakyReLU.apply(features, _Settings(slope, gain, limit)))


@functools.cache
def _rounded(limit: float, dtype: torch.dtype) -> float:
    """Returns a limit as results in ``dtype`` have it, to recognize those that were clipped."""
    return float(torch.tensor(limit, dtype=dtype))


def _activated(features: Tensor, settings: _Settings) -> Tensor:
    activated = F.leaky_relu(features, settings.slope)
    if settings.gain != 1:
        activated = activated.mul_(settings.gain)
    if settings.clamp is not None:
        activated = activated.clamp_(-settings.clamp, settings.clamp)
    return activated


class _LeakyReLU(Function):
    """y = clip(gain * leaky_relu(x))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: _Settings) -> Tensor:
        y = _activated(x, settings)
        ctx.save_for_backward(y)
        ctx.settings = settings
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        return _Gradient.apply(dy, *ctx.saved_tensors, ctx.settings, False), None


class _Gradient(Function):
    """dx of dy and y, linear in dy: so its derivative is the same, in the reverse order."""

    @staticmethod
    def forward(ctx: Any, dy: Tensor, y: Tensor, settings: _Settings, reverse: bool) -> Tensor:
        ctx.save_for_backward(y)
        ctx.settings, ctx.reverse = settings, reverse
        slope, gain, clamp = settings
        dx = dy if gain == 1 or reverse else dy * gain
        dx = torch.ops.aten.leaky_relu_backward(dx, y, slope, False)
        if gain != 1 and reverse:
            dx = dx.mul_(gain)
        if clamp is not None:
            dx = torch.ops.aten.hardtanh_backward(dx, y, -clamp, clamp)
        return cast(Tensor, dx)

    @staticmethod
    def backward(ctx: Any, ddx: Tensor) -> Any:
        ddy = _Gradient.apply(ddx, *ctx.saved_tensors, ctx.settings, not ctx.reverse)
        return ddy, None, None, None
