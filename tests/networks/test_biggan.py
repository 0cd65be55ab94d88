from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.biggan import BigGANDiscriminator, BigGANDownBlock, BigGANGenerator
from ganforge.networks.layers.initialization import initialize_weights
from ganforge.networks.layers.normalization import ConditionalNorm
from tests.networks import counting

CLASSES = 3
STEERED = {"num_classes": CLASSES, "conditioning": "normalization"}
PROJECTED = {"num_classes": CLASSES, "conditioning": "projection"}


def count(kind, *sizes, **options):
    """Orthogonal weights and spectra would take their time."""
    return counting.count(kind, *sizes, **options, spectral_norm=False, initialization="normal")


def generator(**options):
    torch.manual_seed(0)
    return BigGANGenerator(
        **{"image_size": 16, "channels": 2, "latent_dim": 7, "width": 2} | options
    )


def discriminator(**options):
    torch.manual_seed(0)
    return BigGANDiscriminator(**{"image_size": 16, "channels": 2, "width": 2} | options)


def labels(*values):
    return torch.tensor(values)


# ---------------------------------------------------------------------- parameters


@pytest.mark.parametrize(("width", "expected"), [(96, 70_433_988), (64, 31_978_628)])
def test_generator_of_imagenet_128(width, expected):
    """google/compare_gan names 70,433,988 for width 96."""
    options = {"attention": [64], "num_classes": 1000, "conditioning": "normalization"}
    assert count(BigGANGenerator, 128, 3, 120, width, **options) == expected


def test_discriminator_of_imagenet_128():
    """google/compare_gan names 87,982,370."""
    options = {"attention": [64], "num_classes": 1000, "conditioning": "projection"}
    assert count(BigGANDiscriminator, 128, 3, 96, **options) == 87_982_370


def test_generator_of_cifar():
    """The authors' issue 78 names 4.3 million. By hand, for 256 channels and 10 classes:

    first layer 128*4096 + 4096; three blocks of 2 * (9*256*256 + 256) + 256*256 + 256 and gains
    and biases 4 * 10*256; last norm 2*256; to the image 9*256*3 + 3.
    """
    block = 2 * (9 * 256 * 256 + 256) + 256 * 256 + 256 + 4 * 10 * 256
    expected = 128 * 4096 + 4096 + 3 * block + 2 * 256 + 9 * 256 * 3 + 3
    assert expected == 4_304_387
    options = {"hierarchical": False, "shared_dim": 0, "num_classes": 10}
    options["conditioning"] = "normalization"
    assert count(BigGANGenerator, 32, 3, 128, 64, **options) == expected


def test_discriminator_of_cifar():
    """By hand: of four blocks the first two halve, the last two need no shortcut."""
    convolution, shortcut = 9 * 256 * 256 + 256, 256 * 256 + 256
    first = 9 * 3 * 256 + 256 + convolution + 3 * 256 + 256
    expected = first + 2 * convolution + shortcut + 4 * convolution + 257 + 10 * 256
    assert expected == 4_207_361
    options = {"num_classes": 10, "conditioning": "projection"}
    assert count(BigGANDiscriminator, 32, 3, 64, **options) == expected


def test_without_labels_norms_follow_the_chunks_alone():
    """By hand for width 2 at 16x16: 8 channels throughout, chunks of 2, the first one of 3."""
    block = 2 * (9 * 8 * 8 + 8) + 8 * 8 + 8 + 4 * 2 * 8
    expected = 3 * 128 + 128 + 2 * block + 2 * 8 + 9 * 8 * 2 + 2
    assert count(BigGANGenerator, 16, 2, 7, 2) == expected


# ---------------------------------------------------------------------- shapes, learning


# ---------------------------------------------------------------------- what steers what


def block_outputs(network, z, y=None):
    outputs = []
    handles = [
        block.register_forward_hook(lambda _, __, out: outputs.append(out))
        for block in network.blocks
    ]
    network(z, y)
    for handle in handles:
        handle.remove()
    return outputs


def test_each_block_has_a_chunk_of_the_latent():
    """Of 7 values the first layer gets 3, and each of two blocks 2."""
    network = generator().eval()
    z = torch.randn(2, 7)
    before = block_outputs(network, z)
    for chunk, (start, stop) in enumerate([(3, 5), (5, 7)]):
        moved = z.clone()
        moved[:, start:stop] += 1
        same = [
            torch.equal(a, b) for a, b in zip(before, block_outputs(network, moved), strict=True)
        ]
        assert same == [True] * chunk + [False] * (2 - chunk)


def test_without_hierarchy_the_first_layer_gets_all():
    network = generator(hierarchical=False)
    assert network.project.in_features == 7
    assert not any(isinstance(layer, ConditionalNorm) for layer in network.modules())


def test_blocks_share_one_embedding():
    network = generator(shared_dim=5, **STEERED)
    embeddings = [layer for layer in network.modules() if isinstance(layer, nn.Embedding)]
    assert [tuple(layer.weight.shape) for layer in embeddings] == [(CLASSES, 5)]
    norms = [layer for layer in network.modules() if isinstance(layer, ConditionalNorm)]
    assert {norm.gain.in_features for norm in norms} == {5 + 2}


def test_the_discriminator_sums_over_positions_and_projects():
    network = discriminator(**PROJECTED).eval()
    images = torch.randn(4, 2, 16, 16)
    y = labels(0, 1, 2, 1)
    maps = images
    for block in network.blocks:
        maps = block(maps)
    features = maps.relu().sum((2, 3))
    weight, bias = network.head.logit.weight[0], network.head.logit.bias
    expected = features @ weight + bias + (features * network.head.embedding.weight[y]).sum(1)
    torch.testing.assert_close(network(images, y), expected)


@pytest.mark.parametrize("first", [False, True])
def test_the_down_block_is_the_paper_s(first):
    """Convolve the shortcut, then pool; pooling residual and shortcut together is the same."""
    torch.manual_seed(0)
    block = BigGANDownBlock(3, 5, down=True, first=first)
    features = torch.randn(2, 3, 8, 8)
    before = features.clone()
    inner = features if first else features.relu()
    residual = block.second(block.first(inner).relu())
    expected = F.avg_pool2d(residual, 2) + F.avg_pool2d(block.shortcut(features), 2)
    torch.testing.assert_close(block(features), expected)
    assert torch.equal(features, before)


# ---------------------------------------------------------------------- weights


def matrix(layer):
    return layer.weight.detach().flatten(1)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_orthogonal_initialization(shape):
    network = nn.Sequential(nn.Linear(*shape), nn.Conv2d(*shape, 1), nn.Embedding(*shape))
    initialize_weights(network, nn.init.orthogonal_)
    for layer in network:
        weight = matrix(layer)
        small = weight @ weight.T if weight.shape[0] < weight.shape[1] else weight.T @ weight
        torch.testing.assert_close(small, torch.eye(3))
        if not isinstance(layer, nn.Embedding):
            assert layer.bias.abs().sum() == 0


def test_normal_initialization():
    network = generator(
        image_size=32, width=16, spectral_norm=False, initialization="normal", **STEERED
    )
    block = network.blocks[0]
    for layer in (network.project, block.shortcut, block.first_norm.norm.gain):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("initialization", ["orthogonal", "normal"])
def test_spectra_are_normalized_those_that_steer_norms_too(initialization):
    players = [
        generator(initialization=initialization, **STEERED),
        discriminator(initialization=initialization, **PROJECTED),
    ]
    normalized = 0
    for layer in (layer for player in players for layer in player.modules()):
        if hasattr(layer, "parametrizations"):
            normalized += 1
            for _ in range(60):  # each use is a power iteration
                layer.weight  # noqa: B018
            largest = torch.linalg.matrix_norm(matrix(layer), 2).item()
            assert largest == pytest.approx(1, abs=0.02)
    # G: the first and last layer, 2 blocks of 3 convolutions and 2 norms; D: 4 blocks, two of them
    # with a shortcut, the logit and the embedding.
    assert normalized == (2 + 2 * (3 + 4)) + (4 * 2 + 2 + 2)
    assert not hasattr(players[0].embedding, "parametrizations")


# ---------------------------------------------------------------------- refusals


def test_refuses_latents_too_short_to_split():
    with pytest.raises(ConfigError, match=r"latent_dim must be at least 3.*hierarchical=false"):
        generator(latent_dim=2)
    assert generator(latent_dim=2, hierarchical=False)(torch.randn(2, 2)).shape == (2, 2, 16, 16)
