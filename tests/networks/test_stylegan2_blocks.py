from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from ganforge.networks.stylegan2_blocks import bias_act


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_definition(x, bias, slope, gain, clamp):
    """One number after the other."""
    y = torch.zeros_like(x)
    for b, c, i, j in itertools.product(*map(range, x.shape)):
        value = x[b, c, i, j].item() + (0.0 if bias is None else bias[c].item())
        value = gain * (value if value >= 0 else slope * value)
        y[b, c, i, j] = value if clamp is None else max(-clamp, min(clamp, value))
    return y


@pytest.mark.parametrize("bias", [None, torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)])
@pytest.mark.parametrize("slope", [0.2, 1.0, 0.0])
@pytest.mark.parametrize("clamp", [None, 0.8])
def test_every_number_is_as_defined(bias, slope, clamp):
    x = features(2, 3, 4, 5)
    expected = by_definition(x, bias, slope, 1.5, clamp)
    ours = bias_act(x, bias, slope, 1.5, clamp)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("clamp", [None, 0.8])
def test_derivatives_of_both_orders(clamp):
    x, bias = features(2, 3, 3, 3).requires_grad_(True), features(3, seed=1).requires_grad_(True)

    def activated(inputs, shift):
        return bias_act(inputs, shift, clamp=clamp)

    assert gradcheck(activated, (x, bias))
    assert gradgradcheck(activated, (x, bias))
    assert gradgradcheck(lambda *both: activated(*both) ** 3, (x, bias))


def test_the_mean_square_is_nearly_preserved():
    """E[(sqrt(2) leaky_relu(x))^2] = 1 + 0.2^2 for x ~ N(0, 1)."""
    activated = bias_act(features(200_000))
    assert activated.square().mean().item() == pytest.approx(1.04, rel=0.01)


def test_vectors_have_biases_too():
    x, bias = features(2, 3), features(3, seed=1)
    torch.testing.assert_close(bias_act(x, bias, slope=1, gain=1), x + bias)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_type(dtype):
    x, bias = features(1, 3, 2, 2).to(dtype), torch.zeros(3)
    assert bias_act(x, bias, clamp=256).dtype == dtype
    huge = torch.full((1, 1, 1, 1), 6e4, dtype=dtype)
    assert bias_act(huge, clamp=256.0).item() == 256
    assert math.isinf(bias_act(huge.half()).item())  # what the bound is for


def test_one_graph():
    torch.compiler.reset()
    compiled = torch.compile(bias_act, backend="eager", fullgraph=True)
    x, bias = features(1, 3, 2, 2), features(3, seed=1)
    torch.testing.assert_close(compiled(x, bias), bias_act(x, bias))
