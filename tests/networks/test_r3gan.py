from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.shapes import stage_widths
from ganforge.networks.r3gan import (
    GenerativeBasis,
    ProjectionHead,
    R3GANDiscriminator,
    R3GANGenerator,
    ResidualBlock,
)
from tests.networks.counting import count

CLASSES = 3
CONCATENATED = {"num_classes": CLASSES, "conditioning": "concatenation"}


def generator(**options):
    torch.manual_seed(0)
    small = {"image_size": 16, "channels": 2, "latent_dim": 5, "width": 8, "embedding_dim": 4}
    return R3GANGenerator(**small | options)


# ---------------------------------------------------------------------- parameters


def test_parameters_of_the_paper():
    """Table 2, Config E, FFHQ at 256: 23.058 and 23.010 million."""
    generator_size, discriminator_size = (
        count(R3GANGenerator, 256, 3),
        count(R3GANDiscriminator, 256, 3),
    )
    assert (generator_size, discriminator_size) == (23_057_952, 23_009_568)
    assert (round(generator_size, -3), round(discriminator_size, -3)) == (23_058_000, 23_010_000)


def test_parameters_at_cifar_by_hand():
    """Four stages of two blocks, all of width 768, 1536 within, in 96 groups of 16.

    A block has 2 * 768*1536 + 1536*16*9 weights and 2 * 1536 biases. G besides: a basis of 768*16
    and (64 + 64)*768, an embedding of 10*64, 3*768 to the image. D: 3*768 from the image, 768*16,
    768*768 before the embedding's 10*768.
    """
    all_blocks = 8 * (2 * 768 * 1536 + 1536 * 16 * 9 + 2 * 1536)
    generator_size = all_blocks + 768 * 16 + 128 * 768 + 10 * 64 + 3 * 768
    discriminator_size = all_blocks + 3 * 768 + 768 * 16 + 768 * 768 + 10 * 768
    assert (generator_size, discriminator_size) == (20_781_952, 21_280_512)
    options = {"num_classes": 10}
    assert count(R3GANGenerator, 32, 3, conditioning="concatenation", **options) == generator_size
    assert (
        count(R3GANDiscriminator, 32, 3, conditioning="projection", **options) == discriminator_size
    )


def test_widths_halve_beyond_the_full_ones():
    assert stage_widths(256, 768, 32) == [768, 768, 768, 768, 384, 192, 96]
    assert stage_widths(32, 768, 32) == [768] * 4
    assert stage_widths(64, 1536, 64) == [1536] * 5
    assert stage_widths(256, 2, 32) == [2, 2, 2, 2, 1, 1, 1]


def test_the_published_cardinality():
    block = ResidualBlock(768, expansion=2, group_size=16, depth=1)
    assert block.mix.groups == 96


# ---------------------------------------------------------------------- initialization


def test_blocks_start_as_the_identity():
    features = torch.randn(2, 8, 4, 4)
    block = ResidualBlock(8, expansion=2, group_size=4, depth=6)
    assert torch.equal(block(features), features)


def test_weights_are_scaled_by_fan_in_and_depth():
    """sqrt(2 / 1.04) L^(-1/4) / sqrt(fan in): at L = 16 half of He et al."""
    torch.manual_seed(0)
    block = ResidualBlock(64, expansion=2, group_size=16, depth=16)
    gain = math.sqrt(2 / 1.04) / 2
    assert block.widen.weight.std().item() == pytest.approx(gain / 8, rel=0.05)
    assert block.mix.weight.std().item() == pytest.approx(gain / 12, rel=0.05)
    assert block.widen.bias.abs().sum() == block.mix.bias.abs().sum() == 0
    assert block.narrow.bias is None


@pytest.mark.parametrize("depth", [1, 16])
def test_depth_keeps_the_variance(depth):
    """L blocks that add sqrt(1 / L) of the input's spread each: of all together that of one.

    Two convolutions of L^(-1/4) make L^(-1/2); the third is given the gain 1 here.
    """
    torch.manual_seed(0)
    block = ResidualBlock(128, 2, 256, depth)
    nn.init.normal_(block.narrow.weight, 0.0, 1 / 16)
    features = torch.randn(8, 128, 16, 16)
    added = (block(features) - features)[..., 2:-2, 2:-2].var().item()
    once = added * depth
    # 2 / 1.04 of the first convolution, and LeakyReLU keeps half of that times 1.04, twice.
    assert once == pytest.approx(1, rel=0.2)


def test_the_basis_is_weighted_maps():
    basis = GenerativeBasis(5, 3)
    z = torch.randn(2, 5)
    amounts = z @ basis.amounts.weight.T
    expected = torch.stack([amounts[i, :, None, None] * basis.maps for i in range(2)])
    torch.testing.assert_close(basis(z), expected)


# ---------------------------------------------------------------------- labels, images, refusals


def test_projection_head():
    """With L = I and embeddings 1, 2, 3 the logit is y + 1 times the sum of features."""
    head = ProjectionHead(4, num_classes=CLASSES, projection=True)
    nn.init.eye_(head.logit.weight)
    head.embedding.weight.data = torch.arange(1.0, 4.0)[:, None].expand(3, 4).clone()
    features = torch.randn(3, 4)
    expected = features.sum(1) * torch.tensor([3.0, 1.0, 2.0])
    torch.testing.assert_close(head(features, torch.tensor([2, 0, 1])), expected)
    with pytest.raises(ConfigError, match="needs the labels"):
        head(features)


def test_labels_are_concatenated_with_the_latent():
    network = generator(**CONCATENATED)
    z, y = torch.randn(2, 5), torch.tensor([2, 0])
    inputs = network.inputs(z, y)
    assert torch.equal(inputs, torch.cat([z, network.embedding.weight[y]], 1))
    with pytest.raises(ConfigError, match="needs the labels"):
        network(z)
