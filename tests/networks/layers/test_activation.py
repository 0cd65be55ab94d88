from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from ganforge.networks.layers.activation import leaky_relu


def plain(x: torch.Tensor, slope: float, gain: float, clamp: float | None) -> torch.Tensor:
    y = F.leaky_relu(x, slope) * gain
    return y if clamp is None else y.clamp(-clamp, clamp)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
@pytest.mark.parametrize("clamp", [None, 1.3])
def test_values_and_derivatives_are_those_of_the_three_steps_bit_by_bit(gain, clamp):
    found = []
    for function in (leaky_relu, plain):
        x = drawn(4, 5, 6).requires_grad_()
        y = function(1.1 * x, 0.2, gain, clamp)
        (slopes,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(slopes.square().sum(), x)
        found.append((y, slopes, second))
    for ours, wanted in zip(*found, strict=True):
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("clamp", [None, 0.8])
def test_derivatives_are_those_of_finite_differences_twice(clamp):
    x = drawn(3, 4).double().requires_grad_()
    assert gradcheck(lambda x: leaky_relu(x, 0.2, 1.4, clamp), (x,))
    assert gradgradcheck(lambda x: leaky_relu(x, 0.2, 1.4, clamp) ** 3, (x,))


def test_only_the_result_is_kept():
    x, kept = drawn(3, 4).requires_grad_(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = leaky_relu(2 * x, 0.2, 1.4, 1.0)
    assert [tensor.data_ptr() for tensor in kept if tensor.ndim] == [y.data_ptr()]


def test_the_input_stays_as_it_is():
    x = drawn(3, 4)
    copy = x.clone()
    leaky_relu(x, 0.2, 1.4, 0.5)
    assert torch.equal(x, copy)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("clamp", [256.0, 257.0, 181.0193, 100.2])
def test_clipped_values_have_no_gradient_in_half_precision(dtype, clamp):
    x = torch.tensor([-1e4, -3.0, 3.0, 1e4], dtype=dtype, requires_grad=True)
    leaky_relu(x, 0.5, 1.0, clamp).sum().backward()
    assert x.grad.tolist() == [0, 0.5, 1, 0]
