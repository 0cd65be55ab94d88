from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.progressive import double, halve
from ganforge.networks.pggan import (
    EqualizedHead,
    FirstBlock,
    LastBlock,
    PGGANDiscriminator,
    PGGANGenerator,
)
from tests.networks.counting import count

CLASSES = 3
CONCATENATED = {"num_classes": CLASSES, "conditioning": "concatenation"}
PROJECTED = {"num_classes": CLASSES, "conditioning": "projection"}


def generator(**options):
    torch.manual_seed(0)
    small = {"image_size": 32, "channels": 2, "latent_dim": 5, "width": 8, "full_width": 8}
    return PGGANGenerator(**small | options)


def discriminator(**options):
    torch.manual_seed(0)
    small = {"image_size": 32, "channels": 2, "width": 8, "full_width": 8}
    return PGGANDiscriminator(**small | options)


def at(network, level):
    network.grow(level)
    return network


def latents(count=4, seed=0):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def images(size, count=4, channels=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, size, size, generator=generator, dtype=torch.float64)


# ---------------------------------------------------------------------- parameters


def test_parameters_of_the_paper():
    """Table 2 of arXiv:1710.10196: 23.1 million each at 1024x1024."""
    generator_size, discriminator_size = (
        count(PGGANGenerator, 1024, 3),
        count(PGGANDiscriminator, 1024, 3),
    )
    assert generator_size == pytest.approx(23.1e6, rel=0.005)
    assert discriminator_size == pytest.approx(23.1e6, rel=0.005)
    assert (generator_size, discriminator_size) == (23_079_115, 23_087_249)


def test_parameters_at_cifar_by_hand():
    """Four stages of width 512: convolutions of 3x3, a latent of 512, RGB."""
    wide = 9 * 512 * 512 + 512
    generator_size = (16 * 512 * 512 + 512) + 7 * wide + 4 * (512 * 3 + 3)
    discriminator_size = (
        4 * (3 * 512 + 512) + 6 * wide + (9 * 513 * 512 + 512) + (16 * 512 * 512 + 512) + 513
    )
    assert count(PGGANGenerator, 32, 3) == generator_size == 20_719_628
    assert count(PGGANDiscriminator, 32, 3) == discriminator_size == 20_726_785


def test_parameters_by_hand():
    """Widths 8, 8, 4 at 4x4, 8x8, 16x16; a latent of 5, gray images."""
    generator_size = (5 * 16 * 8 + 8) + (9 * 64 + 8)  # 4x4
    generator_size += 2 * (9 * 64 + 8) + (9 * 8 * 4 + 4) + (9 * 4 * 4 + 4)  # 8x8, 16x16
    generator_size += (8 + 1) + (8 + 1) + (4 + 1)  # to images
    discriminator_size = (8 + 8) + (8 + 8) + (4 + 4)  # from images
    discriminator_size += (9 * 4 * 4 + 4) + (9 * 4 * 8 + 8) + 2 * (9 * 64 + 8)  # 16x16, 8x8
    discriminator_size += (
        (9 * 9 * 8 + 8) + (16 * 64 + 8) + (8 + 1)
    )  # 4x4 with the spread, the whole, the logit
    options = {"width": 8, "full_width": 8}
    assert count(PGGANGenerator, 16, 1, latent_dim=5, **options) == generator_size
    assert count(PGGANDiscriminator, 16, 1, **options) == discriminator_size


# ---------------------------------------------------------------------- growth


@pytest.mark.parametrize(("level", "size"), [(0, 4), (0.5, 8), (1, 8), (2.01, 32), (3, 32)])
def test_sizes_of_levels(level, size):
    g = at(generator(), level)(latents().float())
    assert g.shape == (4, 2, size, size)
    assert at(discriminator(), level)(g).shape == (4,)


def test_networks_start_at_full_size():
    g = generator()(latents().float())
    assert g.shape == (4, 2, 32, 32)
    assert discriminator()(g).shape == (4,)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_generator_fades_from_the_lower_size_to_the_next(stage):
    """At alpha 0 the lower resolution upsampled, at 1 the network with its new stage."""
    g, z = generator().double(), latents()
    low, high = at(g, stage)(z), at(g, stage + 1)(z)
    for alpha in (2**-30, 0.25, 0.5, 1 - 2**-22):
        expected = (1 - alpha) * double(low) + alpha * high
        torch.testing.assert_close(at(g, stage + alpha)(z), expected)
    torch.testing.assert_close(at(g, stage + 2**-40)(z), double(low), atol=1e-8, rtol=0)
    torch.testing.assert_close(at(g, stage + 1 - 2**-40)(z), high, atol=1e-8, rtol=0)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_discriminator_fades_from_the_lower_size_to_the_next(stage):
    """At alpha 0 it reads the image of half the size, at 1 through its new stage."""
    d, shown = discriminator().double(), images(8 << stage)
    low, high = at(d, stage)(halve(shown)), at(d, stage + 1)(shown)
    torch.testing.assert_close(at(d, stage + 2**-40)(shown), low, atol=1e-8, rtol=0)
    torch.testing.assert_close(at(d, stage + 1 - 2**-40)(shown), high, atol=1e-8, rtol=0)
    assert not torch.allclose(low, high)


def test_the_discriminator_fades_its_features():
    """Those of the new stage with those of the image of half the size, at 8x8 here."""
    d, shown = discriminator().double(), images(16)
    new = d.blocks[1](nn.functional.leaky_relu(d.from_image[2](shown), 0.2))
    old = nn.functional.leaky_relu(d.from_image[1](halve(shown)), 0.2)
    mixed = d.last(d.blocks[0](0.7 * old + 0.3 * new))
    torch.testing.assert_close(at(d, 1.3).features(shown), mixed)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_logits_change_continuously_with_alpha(stage):
    """No step of alpha moves them by more than in proportion to its length."""
    d, shown = discriminator().double(), images(8 << stage)
    path = torch.stack([at(d, stage + k / 40)(shown) for k in range(1, 40)])
    ends = at(d, stage)(halve(shown))[None], at(d, stage + 1)(shown)[None]
    steps = torch.cat([ends[0], path, ends[1]]).diff(dim=0).abs()
    assert steps.max() < 10 * steps.mean() + 1e-12
    finer = at(d, stage + 0.5 + 1e-6)(shown) - at(d, stage + 0.5)(shown)
    assert finer.abs().max() < 1e-3 * steps.max()


def test_stages_below_keep_their_part():
    """What a network of a level computes does not depend on the stages above it."""
    g, d = at(generator(), 1), at(discriminator(), 1)
    z, shown = latents().float(), images(8).float()
    before = g(z), d(shown)
    for network in (g, d):
        for parts in (network.blocks[1:], network.to_image[2:] if network is g else []):
            for parameter in nn.ModuleList(parts).parameters():
                nn.init.normal_(parameter)
    assert torch.equal(g(z), before[0])
    assert torch.equal(d(shown), before[1])


def test_a_copy_is_grown_alone():
    g = generator()
    twin = copy.deepcopy(g)
    at(g, 0.5)
    assert (twin.level.stage, twin.level.alpha.item()) == (3, 1)
    assert g.state_dict().keys() == twin.state_dict().keys()


# ---------------------------------------------------------------------- learning


@pytest.mark.parametrize("level", [0, 1.5])
def test_the_weights_of_a_level_learn(level):
    """Under bfloat16 autocast; those of other stages get no gradient."""
    g, d = generator(**CONCATENATED), discriminator(**PROJECTED)
    players, y = nn.ModuleList([at(g, level), at(d, level)]), torch.tensor([0, 1, 2, 0])
    with torch.autocast("cpu", torch.bfloat16):
        logits = d(g(latents().float(), y), y)
    logits.float().square().mean().backward()
    ends = {0: {0}, 1.5: {1, 2}}[level]
    for name, parameter in players.named_parameters():
        parts = name.split(".")
        stage = int(parts[2]) + ("blocks" in parts) if parts[2].isdigit() else 0
        used = stage in ends if "_image" in name else stage <= max(ends)
        assert (parameter.grad is not None) == used, name
        if used:
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("level", [1, 1.5])
def test_penalties_reach_every_weight_in_use(level):
    """WGAN-GP differentiates D twice; a bias that only shifts where ReLU bends gets nothing."""
    d, shown = at(discriminator(minibatch_stddev=0), level), images(4 << round(level + 0.4))
    shown = shown.float().requires_grad_(True)
    (gradient,) = torch.autograd.grad(d(shown).sum(), shown, create_graph=True)
    gradient.square().sum().backward()
    learning = [n for n, p in d.named_parameters() if p.grad is not None and p.grad.any()]
    used = ["last.convolution", "last.gather", "head.logit", "blocks.0", "from_image.1"]
    for name in used + ["from_image.2", "blocks.1"] * (level > 1):
        assert any(found.startswith(name) for found in learning), name


def test_double_backward_is_exact():
    d = at(discriminator(image_size=8, width=2, channels=1, minibatch_stddev=0), 0.5).double()
    shown = images(8, count=2, channels=1).requires_grad_(True)
    assert torch.autograd.gradcheck(d, shown)
    assert torch.autograd.gradgradcheck(d, shown)


def test_features_of_the_generator_have_unit_length():
    """Whatever the weights: pixel normalization ends every block."""
    g = generator().double()
    features = g.first(10 * latents())
    for block in g.blocks:
        features = block(features)
        square = features.square().mean(1)
        torch.testing.assert_close(square, torch.ones_like(square), atol=1e-2, rtol=0)


def test_latents_count_by_their_direction():
    g = generator().double()
    torch.testing.assert_close(g(3 * latents()), g(latents()), atol=1e-5, rtol=0)


def test_the_first_block_is_a_convolution_of_one_pixel():
    """Each place of 4x4 has a linear function of the latent of its own."""
    block = FirstBlock(5, 3).double()
    z = latents()
    kernel = block.spread.weight * block.spread.scale
    expected = torch.einsum("bi,oihw->bohw", z, kernel.flip(2, 3))
    torch.testing.assert_close(block.spread(z[:, :, None, None]), expected)


def test_the_last_block_compares_images():
    d = discriminator().double()
    alike = images(32)[:1].expand(4, -1, -1, -1)
    one, many = d(alike), d(images(32))
    torch.testing.assert_close(one, one[:1].expand(4))
    assert not torch.allclose(many[:1], d(alike)[:1])
    alone = discriminator(minibatch_stddev=0).double()
    torch.testing.assert_close(alone(images(32))[:1], alone(images(32)[:1]))
    assert isinstance(LastBlock(4, 0).spread, nn.Identity)


@pytest.mark.parametrize("make", [generator, discriminator])
def test_a_compiled_network_is_compiled_once_for_a_whole_fade(make):
    """In one graph, which is reused for each alpha."""
    network = make()
    inputs = latents().float() if make is generator else images(16).float()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(at(compiled, 1.25)(inputs), network(inputs))
    with torch._dynamo.config.patch(error_on_recompile=True):
        torch.testing.assert_close(at(compiled, 1.75)(inputs), network(inputs))


# ---------------------------------------------------------------------- labels, images, refusals


def test_the_head_projects_on_embeddings():
    head = EqualizedHead(4, num_classes=CLASSES, projection=True, auxiliary=[2])
    nn.init.zeros_(head.logit.weight)
    head.embedding.weight.data = torch.arange(1.0, 4.0)[:, None].expand(3, 4).clone()
    features = torch.randn(3, 4)
    expected = features.sum(1) * torch.tensor([3.0, 1.0, 2.0]) / 2  # sqrt(4)
    torch.testing.assert_close(head(features, torch.tensor([2, 0, 1])), expected)
    assert head.auxiliary(features).shape == (3, 2)
    with pytest.raises(ConfigError, match="needs the labels"):
        head(features)
