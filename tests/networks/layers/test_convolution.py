"""Convolutions with second derivatives of their own equal PyTorch's, in every order and layout."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from ganforge.networks.layers.convolution import GroupedConv2d, conv2d, conv_transpose2d
from ganforge.networks.layers.upfirdn2d import downsample2d, filter_kernel, upfirdn2d, upsample2d
from ganforge.networks.r3gan import R3GANDiscriminator
from ganforge.regularizers import R1
from ganforge.streams import Noise


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cases(stride, groups):
    """Images [2, 4, 5, 6], weights [6, 4 / groups, 3, 2], bias [6]; strides leave a remainder."""
    arguments = {"stride": stride, "padding": (1, 0), "groups": groups}
    return [normal(2, 4, 5, 6), normal(6, 4 // groups, 3, 2, seed=1), normal(6, seed=2)], arguments


def grown(inputs, needed=None):
    """Leaves with gradient, or only those that are needed."""
    needed = [True] * len(inputs) if needed is None else needed
    pairs = zip(inputs, needed, strict=True)
    return [tensor.detach().clone().requires_grad_(need) for tensor, need in pairs]


def derivatives(operation, inputs, **arguments):
    """The output, its gradients, and the gradients of their squares."""
    output = operation(*inputs, **arguments)
    leaves = [tensor for tensor in inputs if tensor.requires_grad]
    first = torch.autograd.grad(output.square().sum(), leaves, create_graph=True)
    penalty = torch.stack([gradient.square().sum() for gradient in first]).sum()
    second = torch.autograd.grad(penalty, leaves, create_graph=True)
    third = torch.autograd.grad(sum(gradient.square().sum() for gradient in second), leaves)
    return [output, *first, *second, *third]


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (1, 2), (2, 2), (3, 2)])
def test_three_orders_equal_those_of_pytorch(stride, groups):
    inputs, arguments = cases(stride, groups)
    for needed in itertools.product([False, True], repeat=3):
        if not any(needed):
            continue
        ours = derivatives(conv2d, grown(inputs, needed), **arguments)
        theirs = derivatives(F.conv2d, grown(inputs, needed), **arguments)
        for mine, expected in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize(("stride", "groups"), [(1, 2), (2, 2), (2, 1)])
def test_the_transpose_equals_that_of_pytorch(stride, groups):
    (_, weight, _), arguments = cases(stride, groups)
    inputs = [normal(2, 6, 3, 4), weight]
    for needed in ([True, False], [False, True], [True, True]):
        ours = derivatives(conv_transpose2d, grown(inputs, needed), **arguments)
        theirs = derivatives(F.conv_transpose2d, grown(inputs, needed), **arguments)
        for mine, expected in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, expected)


def test_numeric_derivatives():
    arguments = {"stride": 2, "padding": (1, 0), "groups": 2}
    weight = normal(2, 1, 3, 2, seed=1)

    def squared(*tensors):
        return conv2d(*tensors, **arguments).square()

    inputs = grown([normal(1, 2, 4, 3), weight, normal(2, seed=2)])
    assert gradcheck(squared, inputs)
    assert gradgradcheck(squared, inputs)
    transposed = grown([normal(1, 2, 2, 2), weight])
    assert gradgradcheck(lambda x, w: conv_transpose2d(x, w, **arguments).square(), transposed)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("autocast", [False, True])
def test_layouts_and_autocast(layout, autocast):
    """Values, dtypes and layouts are those of PyTorch."""
    inputs = [normal(2, 16, 6, 6, dtype=torch.float32), normal(16, 4, 3, 3, dtype=torch.float32)]
    inputs = [tensor.contiguous(memory_format=layout) for tensor in inputs]
    results = []
    for operation in (conv2d, F.conv2d):
        x, weight = grown(inputs)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = operation(x, weight, padding=1, groups=4)
            (first,) = torch.autograd.grad(y.float().square().sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(first.float().square().sum(), weight)
        results.append((y, first, second))
    assert [one.stride() for one in results[0][:2]] == [one.stride() for one in results[1][:2]]
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == theirs.dtype
        scale = float(theirs.detach().abs().max())
        tolerance = 0.02 if autocast else 1e-5
        torch.testing.assert_close(ours / scale, theirs / scale, atol=tolerance, rtol=0)


def test_first_derivatives_are_those_of_pytorch_to_the_bit():
    images, kernel = normal(2, 3, 8, 8, dtype=torch.float32), filter_kernel()
    square = torch.outer(kernel, kernel).expand(3, 1, 4, 4)
    for ours, theirs in [
        (downsample2d, lambda x, _: F.conv2d(x, square, stride=2, padding=1, groups=3)),
        (upsample2d, lambda x, _: F.conv_transpose2d(x, 4 * square, None, 2, 1, groups=3)),
    ]:
        gradients = []
        for operation in (ours, theirs):
            (x,) = grown([images])
            y = operation(x, kernel)
            gradients.append((y, *torch.autograd.grad(y.square().sum(), x)))
        assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize("operation", [downsample2d, upsample2d])
def test_gradients_of_float32_layers_are_in_float32_under_autocast(operation):
    """A step computes them under the autocast of its losses. First and second derivatives."""
    results = []
    for autocast in (False, True):
        (x,) = grown([normal(2, 3, 8, 8, dtype=torch.float32)])
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = operation(x, filter_kernel())
            (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), x)
        results.append((y, first, second))
    assert all(map(torch.equal, *results))


class Count(TorchDispatchMode):
    """Counts convolutions, in forward and backward passes."""

    def __init__(self):
        super().__init__()
        self.convolutions = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.convolutions += "convolution" in function.__name__
        return function(*args, **(kwargs or {}))


def penalty(operation, channels):
    """The gradient of a squared gradient through a filter, as R1 takes it."""
    weight = normal(channels, 1, 1, 1, seed=1).requires_grad_(True)
    x = normal(1, channels, 4, 4).requires_grad_(True)
    with Count() as count:
        y = operation((x * weight[:, 0]).square())
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        torch.autograd.grad(first.square().sum(), weight)
    return count.convolutions


def up(x):
    return upsample2d(x, filter_kernel().double())


def down(x):
    return downsample2d(x, filter_kernel().double())


def mix(x):
    weight = normal(x.shape[1], 2, 3, 3, seed=2).requires_grad_(True)
    return conv2d(x, weight, padding=1, groups=x.shape[1] // 2)


@pytest.mark.parametrize("operation", [up, down, mix])
def test_the_work_does_not_grow_with_the_groups(operation):
    assert penalty(operation, 4) == penalty(operation, 32)


def test_a_constant_filter_gets_no_gradient():
    """Four passes, each one filter: forward, backward, and the backward of both."""
    assert penalty(down, 8) == penalty(up, 8) == 4


def test_r1_of_r3gan_equals_that_of_plain_convolutions(monkeypatch):
    torch.manual_seed(0)
    network = R3GANDiscriminator(16, 1, width=8, full_width=8, blocks=1, group_size=4).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    images, noise = normal(2, 1, 16, 16), Noise(0, 2, torch.device("cpu"))

    def gradients():
        value = R1().penalty(network, images, images, noise)
        return [value, *torch.autograd.grad(value, list(network.parameters()), allow_unused=True)]

    ours = gradients()
    monkeypatch.setattr(GroupedConv2d, "forward", torch.nn.Conv2d.forward)
    monkeypatch.setattr("ganforge.networks.layers.upfirdn2d.conv2d", F.conv2d)
    for mine, expected in zip(ours, gradients(), strict=True):
        assert (mine is None) == (expected is None)
        if mine is not None:
            torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("padding", [(1, 1, 1, 1), (2, 1, 0, 3), (-1, 2, -2, -1), (1, 3, -1, 1)])
@pytest.mark.parametrize(("taps", "up", "down"), [(4, 1, 2), (3, 2, 1), (4, 2, 1), (3, 3, 2)])
def test_padding_is_the_same_wherever_it_is_done(padding, taps, up, down):
    """Whether the convolution pads and crops by itself or another operation does it before."""
    kernel = normal(taps, seed=3)
    x = normal(1, 2, 7, 8)
    spread = x.new_zeros(1, 2, 7 * up, 8 * up)
    spread[:, :, ::up, ::up] = x
    square = torch.outer(kernel, kernel).flip(0, 1).expand(2, 1, taps, taps)
    expected = F.conv2d(F.pad(spread, padding), square, stride=down, groups=2)
    torch.testing.assert_close(upfirdn2d(x, kernel, up, down, padding), expected)
