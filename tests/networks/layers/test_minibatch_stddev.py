from __future__ import annotations

import math

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.networks.layers.minibatch_stddev import MinibatchStddev, check_group_size


def test_by_hand():
    """Two places of one channel. Rows (0, 0) and (2, 6): deviations 1 and 3, mean 2."""
    x = torch.tensor([[0.0, 0.0], [2.0, 6.0], [5.0, 5.0], [5.0, 5.0]]).view(4, 1, 1, 2)
    y = MinibatchStddev(2)(x)
    assert y.shape == (4, 2, 1, 2)
    assert torch.equal(y[:, :1], x)
    expected = torch.tensor([2.0, 2.0, 1e-4, 1e-4]).view(4, 1, 1, 1).expand(4, 1, 1, 2)
    torch.testing.assert_close(y[:, 1:], expected)


def test_the_statistic_is_the_mean_over_channels_and_positions():
    x = torch.randn(6, 3, 4, 5)
    plane = MinibatchStddev(3)(x)[:, 3]
    for group in range(2):
        rows = slice(3 * group, 3 * group + 3)
        by_hand = x[rows].std(dim=0, correction=0).mean()
        torch.testing.assert_close(plane[rows], by_hand.expand(3, 4, 5), rtol=1e-5, atol=1e-6)


def test_equal_images_have_no_deviation():
    x = torch.randn(1, 4, 2, 2).expand(4, -1, -1, -1)
    assert MinibatchStddev(4)(x)[:, 4].max().item() == pytest.approx(1e-4)


def test_parts_of_whole_groups_give_the_same_as_all():
    x, layer = torch.randn(8, 2, 2, 2), MinibatchStddev(2)
    parts = torch.cat([layer(part) for part in x.split(4)])
    torch.testing.assert_close(parts, layer(x), rtol=0, atol=0)


def test_a_small_batch_is_one_group():
    x = torch.randn(3, 2, 2, 2)
    assert torch.equal(MinibatchStddev(8)(x), MinibatchStddev(3)(x))
    assert MinibatchStddev(8)(x[:1]).isfinite().all()


def test_gradients_are_differentiable_even_where_all_agree():
    layer = MinibatchStddev(2)
    x = torch.randn(4, 1, 2, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: layer(x).double(), x, eps=1e-3, atol=1e-2)
    same = torch.ones(2, 1, 2, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(same).square().sum(), same, create_graph=True)
    slope.square().sum().backward()
    assert same.grad.isfinite().all()


def test_half_precision_keeps_small_differences():
    x = torch.zeros(2, 1, 2, 2, dtype=torch.float16)
    x[0] = 2e-4  # its square is 0 in float16
    y = MinibatchStddev(2)(x)
    assert y.dtype == torch.float16
    assert y[0, 1, 0, 0].item() == pytest.approx(math.hypot(1e-4, 1e-4), rel=0.02)


def test_refuses():
    with pytest.raises(ConfigError, match="group_size must be at least 2, got 1"):
        MinibatchStddev(1)
    with pytest.raises(ConfigError, match=r"minibatch_stddev=4 does not divide a batch of 6"):
        MinibatchStddev(4)(torch.zeros(6, 1, 2, 2))
    for wrong in (-1, 1):
        with pytest.raises(ConfigError, match=r"Net: minibatch_stddev must be 0 \(off\) or at"):
            check_group_size("Net", wrong)
    check_group_size("Net", 0)
