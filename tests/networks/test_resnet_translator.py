from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.patch_discriminator import PatchDiscriminator
from ganforge.networks.resnet_translator import (
    ReflectedConvolution,
    ReflectedResidualBlock,
    ResNetTranslator,
    published_blocks,
    reflect,
    reflect_in_order,
)
from ganforge.networks.translator import DiscriminatorPair, TranslatorPair
from ganforge.networks.unet import UNetTranslator
from tests.networks.counting import blueprint, count


def small(**options):
    torch.manual_seed(0)
    return ResNetTranslator(3, 2, **({"width": 2, "blocks": 2} | options))


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


# ---------------------------------------------------------------------- as published


def test_parameters_of_the_original():
    number = count(ResNetTranslator, 3, 3)
    assert number == 11_378_179
    assert round(number / 1e6, 3) == 11.378
    block = 2 * (256 * 256 * 9 + 256)
    assert count(ResNetTranslator, 3, 3, 64, 6) == number - 3 * block == 7_837_699


def test_layers_of_the_original():
    network = blueprint(ResNetTranslator, 3, 3)
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert [m.out_channels for m in layers] == [64, 128] + 19 * [256] + [128, 64, 3]
    assert [m.kernel_size[0] for m in layers] == [7] + 22 * [3] + [7]
    assert [m.stride[0] for m in layers] == [1, 2, 2] + 18 * [1] + [2, 2, 1]
    assert all(m.bias is not None for m in layers)
    reflected = [isinstance(m, ReflectedConvolution) for m in layers]
    assert reflected == [True] + 2 * [False] + 18 * [True] + 2 * [False] + [True]
    norms = [m for m in network.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == 23
    assert not any(m.affine or m.track_running_stats for m in norms)


@pytest.mark.parametrize(("size", "blocks"), [(16, 6), (128, 6), (132, 9), (256, 9)])
def test_blocks_of_the_paper(size, blocks):
    assert published_blocks(size) == blocks
    network = blueprint(ResNetTranslator, 3, 3, width=1, blocks=None, image_size=size)
    assert len(network.residual) == blocks


@torch.no_grad()
def test_the_formula_of_a_residual_block():
    """x + N(W2 * relu(N(W1 * x))), N to mean 0 and variance 1 in each channel of each image."""
    torch.manual_seed(0)
    block = ReflectedResidualBlock(3, "instance").double()
    first, second = (m for m in block.modules() if isinstance(m, nn.Conv2d))

    def convolve(features, layer):
        mirrored = F.pad(features, (1, 1, 1, 1), mode="reflect")
        out = F.conv2d(mirrored, layer.weight, layer.bias)
        mean = out.mean((2, 3), keepdim=True)
        variance = out.var((2, 3), unbiased=False, keepdim=True)
        return (out - mean) / (variance + 1e-5).sqrt()

    features = noise(2, 3, 5, 4).double()
    expected = features + convolve(F.relu(convolve(features, first)), second)
    torch.testing.assert_close(block(features), expected)


def test_weights_are_drawn_as_published():
    network = small(width=16)
    weights = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 4])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert all((p == 0).all() for p in network.parameters() if p.ndim == 1)


# ---------------------------------------------------------------------- reflection


def test_reflection_by_hand():
    row = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]] * 3]])
    assert reflect(row, 2)[0, 0, 0].tolist() == [3, 2, 1, 2, 3, 4, 3, 2]


@pytest.mark.parametrize("border", [1, 3])
def test_reflection_in_order_is_the_same(border):
    features = noise(2, 3, 5, 4).double().requires_grad_()
    plain, ordered = reflect(features, border), reflect_in_order(features, border)
    assert torch.equal(plain, ordered)
    weights = torch.randn_like(plain)
    gradients = [torch.autograd.grad((p * weights).sum(), features)[0] for p in (plain, ordered)]
    torch.testing.assert_close(*gradients)


def test_reflection_leaves_no_border():
    """What is constant stays constant, which zeros beyond the border would not let it."""
    torch.manual_seed(0)
    out = ReflectedConvolution(2, 3, 7, bias=True)(torch.full((1, 2, 8, 8), 0.7))
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out))


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 16), (20, 12), (36, 8), (28, 44)])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_any_multiple_is_translated(height, width, norm):
    network = small(norm=norm)
    assert (network.in_channels, network.out_channels, network.multiple) == (3, 2, 4)
    images = network(noise(1, 3, height, width))
    assert images.shape == (1, 2, height, width)
    assert images.abs().max() <= 1


@pytest.mark.parametrize(("height", "width"), [(10, 8), (8, 9), (4, 8)])
def test_refuses_other_images(height, width):
    message = f"must be multiples of 4, and at least 8; got {height}x{width}"
    with pytest.raises(ConfigError, match=message):
        small()(noise(1, 3, height, width))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": None}, "blocks=null requires image_size"),
        ({"image_size": 30}, "height and width must be multiples of 4, .* got 30x30"),
    ],
)
def test_refuses_bad_values(options, message):
    with pytest.raises(ConfigError, match=f"ResNetTranslator: {message}"):
        small(**options)


# ---------------------------------------------------------------------- after training


def test_an_image_is_translated_alone():
    network, images = small().eval(), noise(3, 3, 16, 16)
    assert not network.stochastic
    torch.testing.assert_close(network(images)[:1], network(images[:1]))
    assert torch.equal(network(images), network.train()(images))


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"norm": "batch"}])
def test_evaluation_runs_as_training_does(options):
    network, images = small(**options), noise(3, 3, 16, 16)
    assert network.stochastic
    outputs = []
    for mode in (True, False):
        torch.manual_seed(5)
        outputs.append(network.train(mode)(images))
    assert torch.equal(*outputs)
    assert not torch.allclose(network(images)[:1], network(images[:1]))


# ---------------------------------------------------------------------- learning


# ---------------------------------------------------------------------- both ways


def test_both_ways_is_one_player():
    forth = ResNetTranslator(1, 3, width=1, blocks=1)
    back = UNetTranslator(8, 3, 1, width=1)
    player = TranslatorPair(forth, back)
    assert (player.forth, player.back, player.multiple, player.stochastic) == (forth, back, 8, True)
    assert len(list(player.parameters())) == sum(len(list(n.parameters())) for n in (forth, back))
    assert not TranslatorPair(forth, ResNetTranslator(3, 1, width=1, blocks=1)).stochastic


def test_both_ways_must_meet():
    forth = ResNetTranslator(1, 3, width=1, blocks=1)
    with pytest.raises(ConfigError, match="forth is 1 -> 3 channels, back 1 -> 3"):
        TranslatorPair(forth, copy.deepcopy(forth))
    with pytest.raises(ConfigError, match=r"back must have .* in_channels; Linear has None"):
        TranslatorPair(forth, nn.Linear(1, 1))


def test_both_domains_is_one_player():
    target, other = PatchDiscriminator(3, width=1), PatchDiscriminator(1, width=1)
    player = DiscriminatorPair(target, other)
    assert (player.target, player.input) == (target, other)
    assert next(iter(player.state_dict())).startswith("target.")
