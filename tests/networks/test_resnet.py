from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.initialization import unnormalized_weights
from ganforge.networks.resnet import (
    DISCRIMINATORS,
    GENERATORS,
    ResNetDiscriminator,
    ResNetGenerator,
)
from tests.networks.counting import count

SIZES = [16, 32, 48, 64, 128]


def three(a, b):
    return 9 * a * b + b


def one(a, b):
    return a * b + b


def up(a, b):
    return three(a, b) + three(b, b) + one(a, b) + 2 * a + 2 * b


def down(a, b, shortcut=True):
    return three(a, a) + three(a, b) + (one(a, b) if shortcut else 0)


def first(b):
    return three(3, b) + three(b, b) + one(3, b)


def test_parameters_of_the_published_layouts():
    """The tables of arXiv:1802.05957 (64: the code of arXiv:1802.05637), summed by hand.

    Neither paper prints a number of parameters; every convolution and the logit have a bias.
    """
    last = 2 * 64 + three(64, 3)
    small = one(128, 16 * 256) + 3 * up(256, 256) + 2 * 256 + three(256, 3)
    stl = one(128, 36 * 512) + up(512, 256) + up(256, 128) + up(128, 64) + last
    middle = up(1024, 512) + up(512, 256) + up(256, 128) + up(128, 64) + last
    large = up(1024, 1024) + middle
    assert count(ResNetGenerator, 32, 3) == small == 4_276_739
    assert count(ResNetGenerator, 48, 3) == stl == 4_878_083
    assert count(ResNetGenerator, 64, 3) == one(128, 16 * 1024) + middle == 12_220_675
    assert count(ResNetGenerator, 128, 3) == one(128, 16 * 1024) + large == 32_150_787

    small = first(128) + down(128, 128) + 2 * down(128, 128, shortcut=False) + 128 + 1
    middle = first(64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + 1025
    large = middle + down(1024, 1024, shortcut=False)
    assert count(ResNetDiscriminator, 32, 3) == small == 1_053_825
    assert count(ResNetDiscriminator, 48, 3) == middle == 10_141_441
    assert count(ResNetDiscriminator, 64, 3) == middle
    assert count(ResNetDiscriminator, 128, 3) == large == 29_017_857


def test_parameters_of_the_projection_pair():
    """Six conditional norms with 10 rows of gain and bias for one; an embedding of 10 classes."""
    generator = count(ResNetGenerator, 32, 3, num_classes=10, conditioning="normalization")
    discriminator = count(ResNetDiscriminator, 32, 3, num_classes=10, conditioning="projection")
    assert generator == 4_276_739 + 6 * 2 * 256 * (10 - 1)
    assert discriminator == 1_053_825 + 10 * 128


def test_parameters_of_attention():
    """At 16: 256 channels in G, 128 in D; C^2 (1/8 + 1/8 + 1/2 + 1/2) and gamma."""
    generator = count(ResNetGenerator, 32, 3, attention="auto")
    assert generator == 4_276_739 + 256 * 256 * 5 // 4 + 1
    discriminator = count(ResNetDiscriminator, 32, 3, attention=[16])
    assert discriminator == 1_053_825 + 128 * 128 * 5 // 4 + 1


@pytest.mark.parametrize("size", SIZES)
def test_sides_are_those_of_the_features(size):
    sides = []

    def note(block, inputs, features):
        sides.append(features.shape[-1])

    generator = ResNetGenerator(size, 1, latent_dim=2, width=2)
    discriminator = ResNetDiscriminator(size, 1, width=2)
    for block in [*generator.blocks, *discriminator.blocks]:
        block.register_forward_hook(note)
    discriminator(generator(torch.randn(2, 2)))
    assert sides == [*GENERATORS[size].sides, *DISCRIMINATORS[size].sides]


def test_features_are_summed_over_all_positions():
    """Constant images through 1x1 ways alone: the sum counts the places."""
    torch.manual_seed(0)
    discriminator = ResNetDiscriminator(32, 1, width=4)
    for block in discriminator.blocks:
        nn.init.zeros_(block.second_convolution.weight)
    images = torch.full((1, 1, 32, 32), 0.5)
    places = images[:, :, :1, :1]
    for block in discriminator.blocks[:2]:
        places = block.shortcut(places)
    torch.testing.assert_close(discriminator.features(images), 64 * places.flatten(1).relu())


def test_projection_meets_the_summed_features():
    torch.manual_seed(0)
    discriminator = ResNetDiscriminator(16, 1, width=4, num_classes=3, conditioning="projection")
    images, labels = torch.randn(2, 1, 16, 16), torch.tensor([2, 0])
    features, head = discriminator.features(images), discriminator.head
    expected = features @ head.logit.weight[0] + head.logit.bias
    expected = expected + (head.embedding.weight[labels] * features).sum(1)
    torch.testing.assert_close(discriminator(images, labels), expected)


def test_the_last_block_gets_the_deviation_of_the_minibatch():
    torch.manual_seed(0)
    discriminator = ResNetDiscriminator(32, 3, width=4, minibatch_stddev=2)
    assert [block.first_convolution.in_channels for block in discriminator.blocks] == [3, 4, 4, 5]
    images = torch.randn(2, 3, 32, 32)
    alone = torch.cat([discriminator(image[None]) for image in images])
    assert not torch.allclose(discriminator(images), alone)
    plain = ResNetDiscriminator(32, 3, width=4)
    assert torch.allclose(plain(images)[:1], plain(images[:1]), atol=1e-5)


@pytest.mark.parametrize("kind", [ResNetGenerator, ResNetDiscriminator])
def test_spectral_norm_reaches_every_weight(kind):
    torch.manual_seed(0)
    conditioning = "normalization" if kind is ResNetGenerator else "projection"
    options = {"num_classes": 3, "conditioning": conditioning, "attention": "auto"}
    network = kind(32, 3, width=8, spectral_norm=True, **options)
    inputs = torch.randn(2, 128) if kind is ResNetGenerator else torch.randn(2, 3, 32, 32)
    for _ in range(30):
        network(inputs, torch.tensor([0, 1]))
    assert unnormalized_weights(network) == []
    assert len(unnormalized_weights(kind(32, 3, width=8, **options))) > 10
    tops = [
        torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()
        for layer in network.modules()
        if hasattr(layer, "parametrizations")
    ]
    assert tops == pytest.approx([1] * len(tops), abs=0.05)


def test_norms_are_where_they_belong():
    """Two in each block, but none in the first of D; one before the image."""
    generator = ResNetGenerator(32, 3, width=2, num_classes=2, conditioning="normalization")
    norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m.affine for m in norms] == [False] * 6 + [True]
    discriminator = ResNetDiscriminator(32, 3, width=2, norm="layer")
    norms = [n for n, m in discriminator.named_modules() if isinstance(m, nn.GroupNorm)]
    assert [name.split(".")[1] for name in norms] == ["1", "1", "2", "2", "3", "3"]


def test_the_logits_scale_at_the_start():
    """Logits of noise are of order 1, not 1,000, though features are summed over 64 places."""
    torch.manual_seed(0)
    discriminator = ResNetDiscriminator(32, 3, width=32, spectral_norm=True)
    with torch.no_grad():
        for _ in range(10):
            logits = discriminator(F.hardtanh(torch.randn(4, 3, 32, 32)))
    assert 1e-3 < logits.abs().mean() < 100


@pytest.mark.parametrize("kind", [ResNetGenerator, ResNetDiscriminator])
@pytest.mark.parametrize("size", [0, 8, 28, 256])
def test_refuses_sizes(kind, size):
    with pytest.raises(ConfigError, match=r"one of 16, 32, 48, 64, 128; got .*network=dcgan"):
        kind(size, 3)


def test_refuses_what_does_not_go_together():
    with pytest.raises(ConfigError, match="ResNetGenerator: conditioning=normalization needs a n"):
        ResNetGenerator(32, 3, norm="none", num_classes=3, conditioning="normalization")
    with pytest.raises(ConfigError, match="ResNetDiscriminator: minibatch_stddev must be 0"):
        ResNetDiscriminator(32, 3, minibatch_stddev=1)
