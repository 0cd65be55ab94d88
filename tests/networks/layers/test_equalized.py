from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ganforge.errors import ConfigError
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedConv2d, EqualizedLinear


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# ---------------------------------------------------------------------- at the start


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
@pytest.mark.parametrize("sizes", [(8, 300), (500, 300), (2000, 300)])
def test_linear_layers_keep_unit_variance(sizes, multiplier):
    layer = EqualizedLinear(*sizes, learning_rate_multiplier=multiplier)
    outputs = layer(torch.randn(2000, sizes[0]))
    assert outputs.var().item() == pytest.approx(1, rel=0.1)
    assert outputs.mean().item() == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("kernel_size", [1, 3, 4])
@pytest.mark.parametrize("channels", [16, 128])
def test_convolutions_keep_unit_variance(channels, kernel_size):
    """Away from the zeros beyond the border: there is no padding here."""
    layer = EqualizedConv2d(channels, 256, kernel_size, padding=0)
    outputs = layer(torch.randn(8, channels, 12, 12))
    assert outputs.var().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("gain", [0.5, HE_GAIN])
def test_gain_is_the_standard_deviation(gain):
    linear, convolution = (
        EqualizedLinear(400, 400, gain=gain),
        EqualizedConv2d(64, 64, 3, gain=gain),
    )
    assert linear(torch.randn(500, 400)).std().item() == pytest.approx(gain, rel=0.05)
    inner = convolution(torch.randn(8, 64, 12, 12))[..., 1:-1, 1:-1]
    assert inner.std().item() == pytest.approx(gain, rel=0.05)


def test_weights_are_stored_with_unit_variance():
    """Of all sizes, so that Adam's steps, of one length, change them at one rate."""
    for layer in (EqualizedLinear(30, 400), EqualizedConv2d(4, 400, 3, gain=HE_GAIN)):
        assert layer.weight.std().item() == pytest.approx(1, rel=0.05)
        assert torch.equal(layer.bias, torch.zeros(400))
    slow = EqualizedLinear(30, 400, learning_rate_multiplier=0.01)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.05)


# ---------------------------------------------------------------------- by hand


def test_linear_by_hand():
    """gain / sqrt(4) = 1.5, times 0.5 of the multiplier."""
    layer = EqualizedLinear(4, 2, gain=3.0, learning_rate_multiplier=0.5, bias_init=7.0)
    assert torch.equal(layer.bias, torch.full((2,), 14.0))
    inputs = torch.randn(3, 4)
    torch.testing.assert_close(layer(inputs), inputs @ (0.75 * layer.weight).T + 7.0)


def test_convolution_by_hand():
    """gain / sqrt(3 * 9)."""
    layer = EqualizedConv2d(3, 2, 3, gain=2.0)
    layer.bias.data = torch.tensor([1.0, -1.0])
    images = torch.randn(2, 3, 5, 5)
    expected = F.conv2d(images, layer.weight * 2 / math.sqrt(27), layer.bias, padding=1)
    torch.testing.assert_close(layer(images), expected)


def test_padding_keeps_the_size_under_odd_kernels():
    images = torch.randn(1, 2, 6, 6)
    sides = [EqualizedConv2d(2, 1, size)(images).shape[-1] for size in (1, 3, 5)]
    assert sides == [6, 6, 6]
    assert EqualizedConv2d(2, 1, 4, padding=3)(images[..., :1, :1]).shape[-1] == 4
    assert EqualizedConv2d(2, 1, 4, padding=0)(images).shape[-1] == 3


def test_without_bias():
    assert EqualizedLinear(3, 2, bias=False).bias is None
    assert EqualizedConv2d(3, 2, 3, bias=False).bias is None
    assert EqualizedLinear(3, 2, bias=False)(torch.zeros(1, 3)).abs().sum() == 0


def test_a_multiplier_slows_learning_down():
    """One step of Adam of length r moves the outputs by r * multiplier, relative to their scale."""
    moved = []
    for multiplier in (1.0, 0.01):
        torch.manual_seed(0)
        layer = EqualizedLinear(50, 20, learning_rate_multiplier=multiplier)
        inputs = torch.randn(8, 50)
        before = layer(inputs)
        before.square().sum().backward()
        torch.optim.Adam(layer.parameters(), lr=1e-3, eps=1e-30).step()
        moved.append((layer(inputs) - before).abs().mean().item())
    assert moved[1] == pytest.approx(0.01 * moved[0], rel=0.02)


def test_differentiable_twice():
    linear = EqualizedLinear(3, 2).double()
    convolution = EqualizedConv2d(2, 2, 3).double()
    vectors = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    images = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    for layer, inputs in ((linear, vectors), (convolution, images)):
        squared = lambda x, layer=layer: layer(x).square()  # noqa: E731
        assert torch.autograd.gradcheck(squared, inputs)
        assert torch.autograd.gradgradcheck(squared, inputs)


def test_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert EqualizedLinear(3, 2)(torch.randn(1, 3)).dtype == torch.bfloat16
        assert EqualizedConv2d(3, 2, 3)(torch.randn(1, 3, 4, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EqualizedLinear(0, 1), "in_features must be at least 1, got 0"),
        (lambda: EqualizedLinear(1, 0), "out_features must be at least 1, got 0"),
        (lambda: EqualizedLinear(1, 1, gain=0), "gain must be above 0, got 0"),
        (
            lambda: EqualizedLinear(1, 1, learning_rate_multiplier=0),
            "learning_rate_multiplier must be above 0, got 0",
        ),
        (lambda: EqualizedConv2d(0, 1, 3), "in_channels must be at least 1, got 0"),
        (lambda: EqualizedConv2d(1, 0, 3), "out_channels must be at least 1, got 0"),
        (lambda: EqualizedConv2d(1, 1, 0), "kernel_size must be at least 1, got 0"),
        (lambda: EqualizedConv2d(1, 1, 3, padding=-1), "padding must be at least 0, got -1"),
        (lambda: EqualizedConv2d(1, 1, 3, gain=-1), "gain must be above 0, got -1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
