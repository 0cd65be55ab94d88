from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.modulated_convolution import demodulation, modulated_weights
from ganforge.networks.layers.upfirdn2d import filter_kernel, upfirdn2d, upsample2d
from ganforge.networks.stylegan2 import (
    LabelMapping,
    MappedProjection,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from ganforge.networks.stylegan2_blocks import FilteredConvolution, Modulated, in_half_precision
from tests.networks.counting import count

CLASSES = 3
CONCATENATED = {"num_classes": CLASSES, "conditioning": "concatenation"}
PROJECTED = {"num_classes": CLASSES, "conditioning": "projection"}


def generator(**options):
    torch.manual_seed(0)
    small = {"image_size": 16, "channels": 2, "latent_dim": 5, "w_dim": 6, "mapping_layers": 2}
    return StyleGAN2Generator(**small | {"width": 8, "full_width": 8} | options)


def discriminator(**options):
    torch.manual_seed(0)
    small = {"image_size": 16, "channels": 2, "width": 8, "full_width": 8, "mapping_layers": 2}
    return StyleGAN2Discriminator(**small | options)


def awaken(network):
    """Gives noise a strength, which starts at 0."""
    for stage in network.stages:
        for layer in stage.layers:
            nn.init.constant_(layer.noise.scale, 0.5)
    return network


# ---------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("size", "full_width", "generator_size", "discriminator_size"),
    [(1024, 64, 30_370_060, 29_012_513), (256, 32, 24_767_458, 24_001_089)],
)
def test_parameters_of_the_authors(size, full_width, generator_size, discriminator_size):
    """Read off the authors' implementation; 256 with half of its channels."""
    assert count(StyleGAN2Generator, size, 3, full_width=full_width) == generator_size
    assert count(StyleGAN2Discriminator, size, 3, full_width=full_width) == discriminator_size


def test_parameters_of_the_mapping_network():
    network = generator(latent_dim=512, w_dim=512, mapping_layers=8)
    assert sum(p.numel() for p in network.mapping.parameters()) == 2_101_248


def test_parameters_at_cifar():
    """Ten classes, two mapping layers, and a discriminator without residuals: as above."""
    for_generator = {"num_classes": 10, "conditioning": "concatenation", "mapping_layers": 2}
    for_discriminator = {"num_classes": 10, "conditioning": "projection", "residual": False}
    assert count(StyleGAN2Generator, 32, 3, **for_generator) == 20_215_315
    assert count(StyleGAN2Discriminator, 32, 3, **for_discriminator) == 23_089_664


# ---------------------------------------------------------------------- the generator


@pytest.mark.parametrize("size", [8, 16, 64])
def test_each_style_but_the_last_has_a_noise_map(size):
    network = generator(image_size=size)
    assert len(network.noise_sides) == network.mapping.num_ws - 1


def test_an_image_is_the_sum_of_its_stages():
    """Each stage's share, upsampled to the full size; styles in the order of layers.

    Layer 0 at 4x4, 1 and 2 at 8x8, 3 and 4 at 16x16; images take styles 1, 3 and 5.
    """
    network = awaken(generator())
    ws = torch.randn(2, 6, 6)
    maps = [torch.randn(2, 1, side, side) for side in network.noise_sides]
    assert network.noise_sides == [4, 8, 8, 16, 16]
    features, image, layer = network.constant.expand(2, -1, -1, -1), torch.zeros(1), 0
    for stage in network.stages:
        for convolution in stage.layers:
            features = convolution(features, ws[:, layer], maps[layer])
            layer += 1
        below = upsample2d(image, filter_kernel()) if layer > 1 else 0
        image = below + stage.to_image(features, ws[:, layer])
    torch.testing.assert_close(network.synthesize(ws, maps), image)


def test_weights_have_unit_norm_and_features_unit_variance():
    network = generator(width=64, full_width=16)
    layer, w = network.stages[2].layers[1], torch.randn(4, 6)
    styles, weight = layer.affine(w), layer.filters.weight * layer.filters.scale
    weights = modulated_weights(weight, styles, demodulation(weight, styles))
    norms = weights.flatten(2).norm(dim=2)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    features = layer.convolve(torch.randn(4, 64, 16, 16), w, demodulate=True, up=False)
    assert features[..., 1:-1, 1:-1].var().item() == pytest.approx(1, rel=0.05)


def test_styles_begin_around_one():
    for layer in generator(w_dim=256).modules():
        if isinstance(layer, Modulated):
            assert torch.equal(layer.affine.bias, torch.ones_like(layer.affine.bias))


def test_both_ways_of_modulation_make_the_same_images():
    plain = awaken(generator(**CONCATENATED))
    grouped = generator(grouped=True, **CONCATENATED)
    grouped.load_state_dict(plain.state_dict())
    z, y = torch.randn(3, 5), torch.tensor([0, 2, 1])
    torch.testing.assert_close(plain(z, y), grouped(z, y), atol=1e-5, rtol=1e-5)
    ws = torch.randn(3, 6, 6, dtype=torch.float64)
    double = [network.double().synthesize(ws) for network in (plain, grouped)]
    torch.testing.assert_close(*double, atol=1e-10, rtol=0)


def test_noise_has_no_part_in_images_at_the_start():
    network, ws = generator(), torch.randn(2, 6, 6)
    maps = [torch.randn(2, 1, side, side) for side in network.noise_sides]
    assert torch.equal(network.synthesize(ws), network.synthesize(ws, maps))
    awaken(network)
    assert not torch.equal(network.synthesize(ws), network.synthesize(ws, maps))


def test_nothing_exceeds_the_bound():
    network = generator(clamp=0.5)
    seen = []
    for layer in network.modules():
        if isinstance(layer, Modulated):
            layer.register_forward_hook(
                lambda _, __, output: seen.append(output.abs().max().item())
            )
    network(torch.randn(4, 5))
    assert max(seen) == 0.5


# ---------------------------------------------------------------------- the discriminator


@pytest.mark.parametrize("side", [1, 3])
def test_halving_smooths_and_takes_each_second_pixel(side):
    torch.manual_seed(0)
    layer = FilteredConvolution(2, 3, side, down=True, linear=True, clamp=None)
    images, reach = torch.randn(1, 2, 8, 8), side // 2
    smooth = upfirdn2d(images, filter_kernel(), padding=(1 + reach, 1 + reach) * 2)
    whole = F.conv2d(smooth, layer.filters.weight / math.sqrt(2 * side**2))
    torch.testing.assert_close(layer(images), whole[..., ::2, ::2])


def test_residual_stages_keep_the_variance():
    """Both branches by sqrt(1/2): 1/2 of the linear one, 1/2 of the leaky one's 1.04 at most."""
    torch.manual_seed(0)
    stage = discriminator(width=64, full_width=16).stages[0]
    features = torch.randn(8, 64, 16, 16)
    kept = (
        stage.skip(features).var() / upfirdn2d(features, filter_kernel(), padding=(1, 2) * 2).var()
    )
    assert kept.item() == pytest.approx(0.5, rel=0.15)
    torch.testing.assert_close(
        stage(features), stage.skip(features) + stage.second(stage.first(features))
    )


def test_a_chain_has_no_skips():
    chain = discriminator(residual=False)
    assert all(stage.skip is None for stage in chain.stages)
    assert chain.stages[0].second.gain == pytest.approx(math.sqrt(2))
    assert discriminator().stages[0].second.gain == pytest.approx(1)


def test_minibatch_stddev_is_optional():
    images = torch.randn(4, 2, 16, 16)
    alone = discriminator(minibatch_stddev=0)
    torch.testing.assert_close(alone(images)[:1], alone(images[:1]))
    together = discriminator(minibatch_stddev=2)
    torch.testing.assert_close(together(images)[:2], together(images[:2]))
    assert not torch.allclose(together(images)[:1], together(images[:1]))


def test_the_logit_of_a_label():
    """With L = I and labels mapped to 1, 2, 3 it is that times the sum of features, over 2."""
    head = MappedProjection(4, CLASSES, projection=True)
    with torch.no_grad():
        head.logit.weight.copy_(torch.eye(4) / head.logit.scale)
    head.mapping = nn.Embedding(CLASSES, 4)
    head.mapping.weight.data = torch.arange(1.0, 4.0)[:, None].expand(3, 4).clone()
    features = torch.randn(3, 4)
    expected = features.sum(1) * torch.tensor([3.0, 1.0, 2.0]) / 2
    torch.testing.assert_close(head(features, torch.tensor([2, 0, 1])), expected)
    with pytest.raises(ConfigError, match="needs the labels"):
        head(features)


def test_labels_are_mapped_to_vectors_of_one_scale():
    torch.manual_seed(0)
    mapped = LabelMapping(4, 512, layers=8)(torch.arange(4))
    assert mapped.square().mean().item() == pytest.approx(1, rel=0.3)


# ---------------------------------------------------------------------- both


@pytest.mark.parametrize(
    ("size", "stages", "expected"),
    [(1024, 4, [128, 256, 512, 1024]), (32, 4, [8, 16, 32]), (64, 0, []), (64, 1, [64])],
)
def test_which_stages_run_in_half_precision(size, stages, expected):
    sides = [4 << k for k in range(9) if 4 << k <= size]
    assert [side for side in sides if in_half_precision(side, size, stages)] == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_to_full(dtype):
    g, d = generator(), discriminator()
    z = torch.randn(4, 5)
    full = d(g(z))
    with torch.autocast("cpu", dtype):
        images = g(z)
        half = d(images)
    assert images.dtype == half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.1, rtol=0.1)
    assert not torch.equal(half, full)
    half.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in g.parameters())


def test_path_lengths_reach_every_weight():
    """They differentiate twice. What only shifts where leaky ReLU bends gets no gradient."""
    g = awaken(generator())
    ws = g.mapping.broadcast(g.mapping(torch.randn(4, 5)))
    scene = (g.synthesize(ws) * torch.randn(4, 2, 16, 16)).sum()
    (slope,) = torch.autograd.grad(scene, ws, create_graph=True)
    slope.square().sum().backward()
    for name, parameter in g.named_parameters():
        if not name.endswith(("bias", "scale")):
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_one_graph(kind):
    """torch.compile finds nothing that would break the graph of either player."""
    torch.compiler.reset()
    small, y = {"image_size": 8, "mapping_layers": 1, "width": 4}, torch.tensor([0, 1, 2, 0])
    if kind == "discriminator":
        network, inputs = discriminator(**PROJECTED, **small), torch.randn(4, 2, 8, 8)
    else:
        network = generator(**CONCATENATED, **small)
        inputs = torch.randn(4, 5)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(inputs, y), network(inputs, y))
