from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.shapes import doubling_widths
from ganforge.networks.translator import PersistentDropout
from ganforge.networks.unet import UNetTranslator, dropped_blocks, unet_depth
from tests.networks.counting import blueprint, count


def small(**options):
    torch.manual_seed(0)
    settings = {"width": 4, "max_width": 8, "dropout": 0.0} | options
    return UNetTranslator(16, 3, 2, **settings)


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


# ---------------------------------------------------------------------- as published


def test_parameters_of_the_original():
    number = count(UNetTranslator, 256, 3, 3)
    assert number == 54_413_955
    assert round(number / 1e6, 3) == 54.414


def test_parameters_by_hand():
    """Depth 3 at width 2, from 1 to 3 channels: 4x4 kernels, gains and biases of the norms."""
    down = 16 * (1 * 2 + 2 * 4 + 4 * 8) + 2 * 4
    up = 16 * (8 * 4 + 8 * 2 + 4 * 3) + 3 + 2 * (4 + 2)
    assert count(UNetTranslator, 8, 1, 3, 2) == down + up


def test_layers_of_the_original():
    network = blueprint(UNetTranslator, 256, 3, 3)
    assert [block[0].out_channels for block in network.down] == [64, 128, 256] + 5 * [512]
    assert [block[0].in_channels for block in network.up] == [512] + 3 * [1024] + [1024, 512, 256]
    assert network.to_image.in_channels == 128
    for block in [*network.down, *network.up]:
        assert (block[0].kernel_size, block[0].stride, block[0].padding) == ((4, 4), (2, 2), (1, 1))
    normalized = [any(isinstance(m, nn.BatchNorm2d) for m in block) for block in network.down]
    assert normalized == [False] + 6 * [True] + [False]
    assert all(isinstance(block[1], nn.BatchNorm2d) for block in network.up)
    dropped = [any(isinstance(m, PersistentDropout) for m in block) for block in network.up]
    assert dropped == 3 * [True] + 4 * [False]


@pytest.mark.parametrize(
    ("widths", "blocks"),
    [
        (doubling_widths(8, 64, 512), 3),
        (doubling_widths(7, 64, 512), 3),
        (doubling_widths(6, 64, 512), 2),
        (doubling_widths(4, 64, 512), 1),  # none keeps its width: the innermost has the noise
    ],
)
def test_dropout_is_in_the_innermost_blocks(widths, blocks):
    assert dropped_blocks(widths) == blocks


def test_weights_are_drawn_as_published():
    torch.manual_seed(0)
    network = UNetTranslator(32, 3, 3, width=32)
    weights = torch.cat([p.flatten() for n, p in network.named_parameters() if p.ndim == 4])
    assert weights.mean().abs() < 1e-4
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)


@torch.no_grad()
def test_the_formula_at_depth_two():
    """Skips carry what was before the LeakyReLU, as the paper draws them."""
    torch.manual_seed(0)
    network = UNetTranslator(4, 2, 3, width=3, dropout=0.0).double()
    for parameter in network.parameters():
        parameter.copy_(torch.randn_like(parameter))
    first, second = (block[0].weight for block in network.down)
    convolution, norm = network.up[0][0].weight, network.up[0][1]
    images = noise(5, 2, 8, 4).double()
    skip = F.conv2d(images, first, stride=2, padding=1)
    inner = F.conv2d(F.leaky_relu(skip, 0.2), second, stride=2, padding=1)
    up = F.conv_transpose2d(F.relu(inner), convolution, stride=2, padding=1)
    mean, variance = up.mean((0, 2, 3)), up.var((0, 2, 3), unbiased=False)
    up = (up - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
    up = up * norm.weight[:, None, None] + norm.bias[:, None, None]
    last = network.to_image
    both = F.relu(torch.cat([skip, up], dim=1))
    expected = torch.tanh(F.conv_transpose2d(both, last.weight, last.bias, stride=2, padding=1))
    torch.testing.assert_close(network(images), expected)


# ---------------------------------------------------------------------- depth and shapes


@pytest.mark.parametrize(
    ("size", "depth"), [(2, 1), (16, 4), (32, 5), (128, 7), (256, 8), (512, 8), (1024, 8)]
)
def test_depth_halves_to_a_point(size, depth):
    assert unet_depth(size, None) == depth


def test_depth_may_be_any_that_the_size_allows():
    assert [unet_depth(256, depth) for depth in (1, 4, 8)] == [1, 4, 8]
    assert unet_depth(96, 5) == 5
    assert unet_depth(512, 9) == 9


@pytest.mark.parametrize(
    ("size", "depth", "message"),
    [
        (100, None, r"depth null \(here 6\) .* legal depths: 1 to 2; data.image_size=128"),
        (96, 6, "depth 6 does not fit image_size 96; legal depths: 1 to 5; data.image_size=128"),
        (384, None, "legal depths: 1 to 7; data.image_size="),
        (64, 7, "legal depths: 1 to 6; data.image_size=128"),
        (64, 0, "depth 0 does not fit image_size 64; legal depths: 1 to 6$"),
        (30, None, r"depth null \(here 4\) .* legal depths: 1; data.image_size=32"),
        (33, 1, "legal depths: none; data.image_size=32"),
        (1, None, "image_size must be at least 2, got 1"),
    ],
)
def test_refuses_sizes_it_cannot_halve(size, depth, message):
    with pytest.raises(ConfigError, match=message):
        UNetTranslator(size, 3, 3, width=2, depth=depth)


@pytest.mark.parametrize(("size", "depth"), [(2, None), (4, None), (16, None), (48, 4), (16, 1)])
def test_shapes(size, depth):
    network = UNetTranslator(size, 1, 3, width=2, max_width=4, depth=depth)
    images = network(noise(2, 1, size, size))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert (network.in_channels, network.out_channels) == (1, 3)
    assert network(noise(1, 1, size, size)).isfinite().all()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 16), (16, 80), (112, 48)])
def test_any_multiple_is_translated(height, width):
    network = small(norm="instance")
    assert network.multiple == 16
    assert network(noise(1, 3, height, width)).shape == (1, 2, height, width)


@pytest.mark.parametrize(("height", "width"), [(8, 16), (16, 24), (17, 16)])
def test_refuses_images_between_multiples(height, width):
    with pytest.raises(ConfigError, match=f"must be multiples of 16.* got {height}x{width}"):
        small()(noise(1, 3, height, width))


# ---------------------------------------------------------------------- after training


def test_evaluation_runs_as_training_does():
    network, images = small(dropout=0.5), noise(3, 3, 16, 16)
    outputs = []
    for mode in (True, False):
        torch.manual_seed(5)
        outputs.append(network.train(mode)(images))
    assert torch.equal(*outputs)


def test_dropout_draws_in_evaluation():
    network, images = small(dropout=0.5, norm="none").eval(), noise(1, 3, 16, 16)
    torch.manual_seed(5)
    first, second = network(images), network(images)
    torch.manual_seed(5)
    assert not torch.equal(first, second)
    assert torch.equal(first, network(images))


def test_dropout_keeps_the_mean():
    torch.manual_seed(0)
    kept = PersistentDropout(0.25).eval()(torch.ones(200_000))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert kept.mean().item() == pytest.approx(1, abs=0.01)


def test_dropout_draws_the_same_for_every_device():
    layer, x = PersistentDropout(0.25).eval(), noise(2, 3, 16, 16)
    torch.manual_seed(5)
    ours = layer(x)
    after = torch.get_rng_state()
    torch.manual_seed(5)
    assert torch.equal(x * layer.factors(x.shape), ours)
    torch.manual_seed(5)
    assert layer(x.to("meta")).device.type == "meta"  # as on a GPU
    assert torch.equal(torch.get_rng_state(), after)
    torch.manual_seed(5)
    layer.train()(x.to("meta"))  # training draws on the device
    assert not torch.equal(torch.get_rng_state(), after)


def test_batch_norm_goes_by_the_images_at_hand():
    """Alone, an image is normalized by itself: nothing of earlier batches is kept."""
    network, images = small().eval(), noise(2, 3, 16, 16)
    together, alone = network(images)[:1], network(images[:1])
    assert not torch.allclose(together, alone)
    network.train()(10 * images)
    torch.testing.assert_close(network.eval()(images[:1]), alone)
    assert list(network.buffers()) == []


def test_instance_norm_sees_one_image_at_a_time():
    network, images = small(norm="instance").eval(), noise(2, 3, 16, 16)
    torch.testing.assert_close(network(images)[:1], network(images[:1]))


@pytest.mark.parametrize(
    ("norm", "dropout", "stochastic"),
    [("batch", 0.0, True), ("none", 0.5, True), ("instance", 0.0, False), ("none", 0.0, False)],
)
def test_stochastic_networks_are_marked(norm, dropout, stochastic):
    assert small(norm=norm, dropout=dropout).stochastic is stochastic


# ---------------------------------------------------------------------- learning
