"""Convolutions whose derivatives of every order are convolutions with the same groups.

PyTorch's second derivative of a grouped convolution computes the gradient of the weight one group
at a time, even if the weight is a constant filter whose gradient nobody needs: a depthwise filter
of 512 channels takes 512 convolutions. Gradient penalties and path lengths need this derivative.

The three functions of a convolution are linear in both of their arguments:

    y = C(x, w),    dx = T(dy, w),    dw = W(dy, x).

So they are closed under differentiation: the gradients of the transposed convolution T are C and W,
those of W are C and T. The code of Karras et al. 2021 (arXiv:2106.12423) uses the same functions.

All three compute in the dtype of their inputs. The gradients of a step are computed under the
autocast of its losses, which would otherwise also round those of layers in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.grad import conv2d_weight

Pair = tuple[int, int]


class _Geometry(NamedTuple):
    """What defines a convolution besides its inputs."""

    stride: int
    padding: Pair
    groups: int


def conv2d(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int | Pair = 0,
    groups: int = 1,
) -> Tensor:
    """Returns what :func:`torch.nn.functional.conv2d` returns, with other second derivatives.

    They are grouped convolutions, and gradients of inputs that need none are not computed.

    Args:
        images: [B, C_in, H, W].
        weight: [C_out, C_in / groups, K, K'].
        bias: [C_out].
        stride: step in both directions.
        padding: zeros around the images, in both directions or (vertical, horizontal).
        groups: blocks of input channels with output channels of their own.

    Returns:
        [B, C_out, (H + 2 padding - K) // stride + 1, (W + 2 padding - K') // stride + 1].
    """
    if _has_no_second_derivative(images):
        return F.conv2d(images, weight, bias, stride, padding, groups=groups)
    images, weight, bias = _autocast(images, weight, bias)
    geometry = _Geometry(stride, _pair(padding), groups)
    return cast(Tensor, _Convolution.apply(images, weight, bias, geometry))


def conv_transpose2d(
    images: Tensor, weight: Tensor, stride: int = 1, padding: int | Pair = 0, groups: int = 1
) -> Tensor:
    """Returns what :func:`torch.nn.functional.conv_transpose2d` returns; see :func:`conv2d`.

    Args:
        images: [B, C_in, H, W].
        weight: [C_in, C_out / groups, K, K'].
        stride: step in both directions of the output.
        padding: rows and columns removed at each border, in both directions or (vertical,
            horizontal).
        groups: blocks of input channels with output channels of their own.

    Returns:
        [B, C_out, (H - 1) stride - 2 padding + K, (W - 1) stride - 2 padding + K'].
    """
    if _has_no_second_derivative(images):
        return F.conv_transpose2d(images, weight, None, stride, padding, groups=groups)
    images, weight, _ = _autocast(images, weight, None)
    geometry = _Geometry(stride, _pair(padding), groups)
    return cast(Tensor, _Transposed.apply(images, weight, geometry, (0, 0)))


class GroupedConv2d(nn.Conv2d):
    """Convolution layer with groups, whose second derivative does not loop over the groups.

    See :func:`conv2d`. Strides are equal in both directions; padding is with zeros.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Returns [B, C_out, H', W'] of features [B, C_in, H, W]."""
        padding = cast(Pair, self.padding)
        return conv2d(input, self.weight, self.bias, self.stride[0], padding, self.groups)


class _Convolution(Function):
    """y = C(x, w) + b."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry
    ) -> Tensor:
        # As in PyTorch, an input is kept only for the gradient of the other one.
        image_needed, weight_needed = ctx.needs_input_grad[:2]
        ctx.save_for_backward(x if weight_needed else None, weight if image_needed else None)
        ctx.geometry, ctx.shapes = geometry, (x.shape, weight.shape)
        stride, padding, groups = geometry
        with _dtypes_as_given(x):
            return F.conv2d(x, weight, bias, stride, padding, groups=groups)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        (x, weight), geometry = ctx.saved_tensors, ctx.geometry
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            x_shape, weight_shape = ctx.shapes
            remainder = _remainder(dy, x_shape, weight_shape, geometry)
            dx = _Transposed.apply(dy, weight, geometry, remainder)
        if ctx.needs_input_grad[1]:
            dw = _WeightGradient.apply(dy, x, ctx.shapes[1], geometry)
        if ctx.needs_input_grad[2]:
            db = dy.sum(dim=(0, 2, 3))
        return dx, dw, db, None


class _Transposed(Function):
    """x = T(y, w), with ``remainder`` additional rows and columns at the end."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, weight: Tensor, geometry: _Geometry, remainder: Pair
    ) -> Tensor:
        image_needed, weight_needed = ctx.needs_input_grad[:2]
        ctx.save_for_backward(y if weight_needed else None, weight if image_needed else None)
        ctx.geometry, ctx.shape = geometry, weight.shape
        stride, padding, groups = geometry
        with _dtypes_as_given(y):
            return F.conv_transpose2d(y, weight, None, stride, padding, remainder, groups)

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> Any:
        (y, weight), geometry = ctx.saved_tensors, ctx.geometry
        dy = dw = None
        if ctx.needs_input_grad[0]:
            dy = _Convolution.apply(dx, weight, None, geometry)
        if ctx.needs_input_grad[1]:
            dw = _WeightGradient.apply(y, dx, ctx.shape, geometry)
        return dy, dw, None, None


class _WeightGradient(Function):
    """w = W(y, x)."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, x: Tensor, shape: Sequence[int], geometry: _Geometry
    ) -> Tensor:
        y_needed, x_needed = ctx.needs_input_grad[:2]
        ctx.save_for_backward(y if x_needed else None, x if y_needed else None)
        ctx.geometry, ctx.remainder = geometry, _remainder(y, x.shape, shape, geometry)
        stride, padding, groups = geometry
        with _dtypes_as_given(x):
            return cast(Tensor, conv2d_weight(x, shape, y, stride, padding, groups=groups))  # type: ignore[no-untyped-call]

    @staticmethod
    def backward(ctx: Any, dw: Tensor) -> Any:
        (y, x), geometry = ctx.saved_tensors, ctx.geometry
        dy = dx = None
        if ctx.needs_input_grad[0]:
            dy = _Convolution.apply(x, dw, None, geometry)
        if ctx.needs_input_grad[1]:
            dx = _Transposed.apply(y, dw, geometry, ctx.remainder)
        return dy, dx, None, None


def _remainder(y: Tensor, x_shape: Sequence[int], w_shape: Sequence[int], of: _Geometry) -> Pair:
    """Returns the rows and columns of x that no position of the kernel reached."""
    rows, columns = (
        x - ((y - 1) * of.stride - 2 * pad + kernel)
        for x, y, pad, kernel in zip(x_shape[2:], y.shape[2:], of.padding, w_shape[2:], strict=True)
    )
    return rows, columns


def _has_no_second_derivative(images: Tensor) -> bool:
    """Whether this is a compiled graph, or only shapes are computed."""
    return torch.compiler.is_compiling() or images.is_meta


def _autocast(
    images: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns the inputs in the dtype that autocast selects for convolutions."""
    device = images.device.type
    if not torch.is_autocast_enabled(device) or images.dtype == torch.float64:
        return images, weight, bias
    dtype = torch.get_autocast_dtype(device)
    return images.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _dtypes_as_given(images: Tensor) -> torch.autocast:
    """Returns a context without autocast."""
    return torch.autocast(images.device.type, enabled=False)


def _pair(padding: int | Pair) -> Pair:
    return (padding, padding) if isinstance(padding, int) else padding
