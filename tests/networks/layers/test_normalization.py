from __future__ import annotations

import math

import pytest
import torch

from ganforge.networks.layers.normalization import PixelNorm, pixel_norm


def test_by_explicit_loops():
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    expected = torch.empty_like(x)
    for b in range(2):
        for h in range(2):
            for w in range(2):
                square = sum(x[b, c, h, w].item() ** 2 for c in range(3)) / 3
                for c in range(3):
                    expected[b, c, h, w] = x[b, c, h, w] / math.sqrt(square + 1e-8)
    torch.testing.assert_close(pixel_norm(x), expected)
    torch.testing.assert_close(PixelNorm()(x), expected)


@pytest.mark.parametrize("shape", [(4, 7), (4, 7, 3, 3)])
def test_mean_square_is_one_whatever_the_scale(shape):
    for scale in (1e-2, 1.0, 1e4):
        squares = pixel_norm(scale * torch.randn(shape, dtype=torch.float64)).square().mean(1)
        torch.testing.assert_close(squares, torch.ones_like(squares), atol=1e-2, rtol=0)


def test_zeros_stay_with_a_finite_slope():
    x = torch.zeros(1, 4, requires_grad=True)
    pixel_norm(x).sum().backward()
    assert torch.equal(pixel_norm(x), torch.zeros(1, 4))
    torch.testing.assert_close(x.grad, torch.full((1, 4), 1e4))


def test_half_precision_neither_overflows_nor_loses_small_features():
    """Squares of 1000 are beyond float16, and those of 1e-4 below it."""
    for value in (1000.0, 1e-3):
        x = torch.full((1, 4), value, dtype=torch.float16)
        normed = pixel_norm(x)
        assert normed.dtype == torch.float16
        torch.testing.assert_close(normed.float(), torch.ones(1, 4), atol=0.01, rtol=0)


def test_differentiable_twice():
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pixel_norm, x)
    assert torch.autograd.gradgradcheck(pixel_norm, x)
