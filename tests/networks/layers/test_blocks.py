from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.networks.layers.blocks import (
    DownResidualBlock,
    FirstDownBlock,
    UpResidualBlock,
)
from ganforge.networks.layers.initialization import initialize_glorot

NORMS = ["batch", "instance", "layer", "none"]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def published_up(block, x, norms):
    """Norm, ReLU, unpooling, 3x3, norm, ReLU, 3x3, plus unpooling, 1x1."""

    def up(h):
        return h.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = block.first_convolution(up(norms[0](x).relu()))
    h = block.second_convolution(norms[1](h).relu())
    return h + block.shortcut(up(x))


def published_down(block, x, norms):
    """Norm, ReLU, 3x3, norm, ReLU, 3x3, mean pooling, plus 1x1, mean pooling."""
    h = block.first_convolution(norms[0](x).relu())
    h = F.avg_pool2d(block.second_convolution(norms[1](h).relu()), 2)
    return h + F.avg_pool2d(block.shortcut(x), 2)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", [UpResidualBlock, DownResidualBlock])
def test_a_block_is_the_published_function(kind, norm):
    torch.manual_seed(0)
    block, x = kind(4, 6, norm).double(), torch.randn(3, 4, 4, 4).double()
    published = published_up if kind is UpResidualBlock else published_down
    expected = published(block, x, [block.first_norm.norm, block.second_norm.norm])
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_the_first_block_is_the_published_function():
    torch.manual_seed(0)
    block, x = FirstDownBlock(3, 4).double(), torch.randn(2, 3, 4, 4).double()
    residual = block.second_convolution(block.first_convolution(x).relu())
    expected = F.avg_pool2d(residual, 2) + block.shortcut(F.avg_pool2d(x, 2))
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_a_block_that_keeps_all_has_a_plain_shortcut():
    block, x = DownResidualBlock(4, 4, "none", down=False), torch.randn(2, 4, 3, 3)
    nn.init.zeros_(block.second_convolution.weight)
    assert torch.equal(block(x), x)
    assert isinstance(DownResidualBlock(4, 6, "none", down=False).shortcut, nn.Conv2d)


@pytest.mark.parametrize("norm", NORMS)
def test_inputs_are_not_modified(norm):
    """The shortcut needs it: no ReLU in place on a block's input."""
    for block in (UpResidualBlock(4, 4, norm), DownResidualBlock(4, 4, norm)):
        x = torch.randn(2, 4, 4, 4)
        kept = x.clone()
        block(x).sum().backward()
        assert torch.equal(x, kept)


@pytest.mark.parametrize("norm", ["batch", "instance", "layer"])
def test_labels_steer_both_norms(norm):
    torch.manual_seed(0)
    block, x = UpResidualBlock(4, 4, norm, condition_dim=3), torch.randn(2, 4, 4, 4)
    codes = torch.eye(3)[[0, 2]]
    plain = UpResidualBlock(4, 4, norm)
    plain.load_state_dict(block.state_dict(), strict=False)
    torch.testing.assert_close(block(x, codes), plain(x))  # all classes start alike
    for steered in (block.first_norm, block.second_norm):
        before = block(x, codes)
        nn.init.normal_(steered.norm.gain.weight)
        assert not torch.equal(block(x, codes), before)


def test_parameters():
    """3x3: 9 a b + b; 1x1: a b + b; a norm of n channels: 2 n."""
    up = (9 * 4 * 6 + 6) + (9 * 6 * 6 + 6) + (4 * 6 + 6) + 2 * 4 + 2 * 6
    down = (9 * 4 * 4 + 4) + (9 * 4 * 6 + 6) + (4 * 6 + 6)
    first = (9 * 3 * 6 + 6) + (9 * 6 * 6 + 6) + (3 * 6 + 6)
    assert count(UpResidualBlock(4, 6, "batch")) == up
    assert count(DownResidualBlock(4, 6, "none")) == down
    assert count(DownResidualBlock(4, 6, "layer")) == down + 2 * 4 + 2 * 4
    assert count(FirstDownBlock(3, 6)) == first


def test_the_start():
    """Uniform in +-gain sqrt(6 / (fan in + fan out)): gain sqrt(2) behind a ReLU, else 1."""
    torch.manual_seed(0)
    block = UpResidualBlock(16, 32, "none")
    for layer, fans, gain in (
        (block.first_convolution, 9 * (16 + 32), math.sqrt(2)),
        (block.second_convolution, 9 * (32 + 32), math.sqrt(2)),
        (block.shortcut, 16 + 32, 1),
    ):
        bound = gain * math.sqrt(6 / fans)
        assert 0.95 * bound < layer.weight.abs().max().item() <= bound
        assert not layer.bias.any()
    embedding = nn.Embedding(10, 20)
    initialize_glorot(embedding)
    assert embedding.weight.abs().max().item() <= math.sqrt(6 / 30)
