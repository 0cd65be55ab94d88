from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from ganforge.networks.layers.modulated_convolution import (
    EPSILON,
    demodulation,
    modulated_convolution,
    modulated_weights,
)
from ganforge.networks.layers.upfirdn2d import filter_kernel, upfirdn2d

KERNEL = filter_kernel().double()
UNEVEN = torch.tensor([1.0, -0.5, 2.0, 0.25], dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parts(side=3):
    """Features [2, 3, 3, 4], weights [4, 3, side, side], styles [2, 3]."""
    return normal(2, 3, 3, 4), normal(4, 3, side, side, seed=1), normal(2, 3, seed=2) + 1


def by_definition(x, weight, styles, demodulate):
    """Every output by itself: the equations 1 to 3 of the paper, in loops."""
    batch, channels_in, height, width = x.shape
    channels_out, side = len(weight), weight.shape[-1]
    pixels, weights, factors = x.tolist(), weight.tolist(), styles.tolist()
    places = list(itertools.product(range(side), repeat=2))
    y = torch.zeros(batch, channels_out, height, width, dtype=torch.float64)
    for b, j in itertools.product(range(batch), range(channels_out)):
        w = {
            (i, m, n): factors[b][i] * weights[j][i][m][n]
            for i in range(channels_in)
            for m, n in places
        }
        energy = sum(value**2 for value in w.values())
        scale = 1 / math.sqrt(energy + EPSILON) if demodulate else 1.0
        for row, column in itertools.product(range(height), range(width)):
            total = 0.0
            for (i, m, n), value in w.items():
                r, c = row + m - side // 2, column + n - side // 2
                if 0 <= r < height and 0 <= c < width:
                    total += scale * value * pixels[b][i][r][c]
            y[b, j, row, column] = total
    return y


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("side", [1, 3])
def test_every_output_is_as_defined(grouped, demodulate, side):
    x, weight, styles = parts(side)
    expected = by_definition(x, weight, styles, demodulate)
    ours = modulated_convolution(x, weight, styles, demodulate, grouped=grouped)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("kernel", [KERNEL, UNEVEN, KERNEL.new_tensor([0.5, 0.5])])
def test_upsampling_is_zeros_between_then_convolution_then_filter(grouped, side, kernel):
    """With room at the borders, cut to twice the size at the end."""
    x, weight, styles = parts(side)
    room, taps = 2, len(kernel)
    zeros = upfirdn2d(x, kernel.new_ones(1), up=2, padding=(2 * room,) * 4)
    convolved = by_definition(zeros, weight, styles, demodulate=True)
    around = ((taps + 1) // 2, (taps - 2) // 2) * 2
    filtered = upfirdn2d(convolved, kernel, padding=around, gain=4.0)
    expected = filtered[:, :, 2 * room : 2 * room + 6, 2 * room : 2 * room + 8]
    ours = modulated_convolution(x, weight, styles, upsampling=kernel, grouped=grouped)
    assert ours.shape == (2, 4, 6, 8)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("kernel", [None, KERNEL])
def test_both_ways_agree(demodulate, kernel):
    """To 1e-10, and so do their gradients."""
    both = []
    for grouped in (False, True):
        inputs = [tensor.requires_grad_(True) for tensor in parts()]
        convolved = modulated_convolution(*inputs, demodulate, kernel, grouped)
        both.append([convolved, *torch.autograd.grad(convolved.square().sum(), inputs)])
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("kernel", [None, KERNEL])
def test_derivatives_of_both_orders(grouped, demodulate, kernel):
    x = normal(2, 2, 2, 2).requires_grad_(True)
    weight = normal(2, 2, 3, 3, seed=1).requires_grad_(True)
    styles = (normal(2, 2, seed=2) + 1).requires_grad_(True)

    def convolved(*inputs):
        return modulated_convolution(*inputs, demodulate, kernel, grouped)

    assert gradcheck(convolved, (x, weight, styles))
    assert gradgradcheck(convolved, (x, weight, styles))


def test_demodulated_weights_have_unit_norm():
    _, weight, styles = parts()
    weights = modulated_weights(weight, styles, demodulation(weight, styles))
    norms = weights.flatten(2).norm(dim=2)
    torch.testing.assert_close(norms, torch.ones_like(norms), atol=1e-8, rtol=0)


def test_demodulated_outputs_keep_the_variance():
    """Inputs of variance 1 give outputs of variance 1, whatever the style."""
    x, weight = normal(4, 16, 32, 32), normal(16, 16, 3, 3, seed=1)
    styles = 10 ** normal(4, 16, seed=2)
    inner = modulated_convolution(x, weight, styles)[..., 1:-1, 1:-1]
    assert inner.var().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_style_of_ones_is_a_plain_convolution(grouped):
    x, weight, _ = parts()
    ours = modulated_convolution(x, weight, x.new_ones(2, 3), demodulate=False, grouped=grouped)
    torch.testing.assert_close(ours, F.conv2d(x, weight, padding=1))


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_huge_styles_do_not_overflow_in_half_precision(grouped, dtype):
    """Styles of 1e6 stand in front of features of 100; demodulation takes them out again."""
    x, weight, styles = parts()
    x, styles = x.mul(100), styles * 1e6
    expected = modulated_convolution(x, weight, styles)
    ours = modulated_convolution(x.to(dtype), weight.float(), styles.float(), grouped=grouped)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), expected, atol=4.0, rtol=0.05)


@pytest.mark.parametrize("grouped", [False, True])
def test_styles_of_zero_give_zero(grouped):
    x, weight, _ = parts()
    convolved = modulated_convolution(x, weight, x.new_zeros(2, 3), grouped=grouped)
    assert torch.equal(convolved, torch.zeros_like(convolved))


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kernel", [None, KERNEL])
def test_one_graph(grouped, kernel):
    torch.compiler.reset()
    compiled = torch.compile(modulated_convolution, backend="eager", fullgraph=True)
    inputs = [*parts(), True, kernel, grouped]
    torch.testing.assert_close(compiled(*inputs), modulated_convolution(*inputs))
