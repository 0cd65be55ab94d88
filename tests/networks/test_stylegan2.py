from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.config.compose import compose_config
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
from ganforge.runs.load import build
from tests.networks.counting import count

CLASSES = 3
BESIDE = {"num_classes": CLASSES, "conditioning": "concatenation"}
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
    ("size", "full_width", "made", "judged"),
    [(1024, 64, 30_370_060, 29_012_513), (256, 32, 24_767_458, 24_001_089)],
)
def test_parameters_of_the_authors(size, full_width, made, judged):
    """Read off the authors' implementation; 256 with half of its channels."""
    assert count(StyleGAN2Generator, size, 3, full_width=full_width) == made
    assert count(StyleGAN2Discriminator, size, 3, full_width=full_width) == judged


def test_parameters_of_the_mapping_network():
    network = generator(latent_dim=512, w_dim=512, mapping_layers=8)
    assert sum(p.numel() for p in network.mapping.parameters()) == 2_101_248


def test_parameters_at_cifar():
    """Ten classes, two mapping layers, and a discriminator without residuals: as above."""
    made = {"num_classes": 10, "conditioning": "concatenation", "mapping_layers": 2}
    judged = {"num_classes": 10, "conditioning": "projection", "residual": False}
    assert count(StyleGAN2Generator, 32, 3, **made) == 20_215_315
    assert count(StyleGAN2Discriminator, 32, 3, **judged) == 23_089_664


@pytest.mark.parametrize(
    ("experiment", "made", "judged"),
    [
        ("cifar10/stylegan2_ada", 20_215_315, 23_089_664),
        ("folder/stylegan2_ada_paper256", 24_767_458, 24_001_089),
        # Two mapping layers in place of eight.
        ("folder/stylegan2_ada_auto", 24_767_458 - 6 * (512 * 512 + 512), 24_001_089),
    ],
)
def test_the_recipes_have_them(experiment, made, judged):
    cfg = compose_config([f"experiment={experiment}"])
    for player, expected in (("generator", made), ("discriminator", judged)):
        node = cfg.network[player]
        assert count(lambda node=node: build(node)) == expected


# ---------------------------------------------------------------------- the generator


@pytest.mark.parametrize("size", [8, 16, 64])
def test_shapes(size):
    made = generator(image_size=size, **BESIDE)
    judge = discriminator(image_size=size, packing=2)
    images = made(torch.randn(2, 5), torch.tensor([0, 2]))
    assert images.shape == (2, 2, size, size)
    assert judge(torch.cat([images, images], 1)).shape == (2,)
    assert len(made.noise_sides) == made.mapping.num_ws - 1


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
    plain = awaken(generator(**BESIDE))
    grouped = generator(grouped=True, **BESIDE)
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


def test_images_are_cut_off_in_evaluation_alone():
    network = generator()
    for stage in network.stages:
        stage.to_image.filters.weight.data *= 10
    z = torch.randn(8, 5)
    free = network(z)
    assert free.abs().max() > 1
    assert torch.equal(network.eval()(z), free.clamp(-1, 1))


def test_nothing_exceeds_the_bound():
    network = generator(clamp=0.5)
    seen = []
    for layer in network.modules():
        if isinstance(layer, Modulated):
            layer.register_forward_hook(lambda _, __, made: seen.append(made.abs().max().item()))
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


def test_the_spread_is_seen_only_where_it_is_asked_for():
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


def test_labels_count():
    images = torch.randn(2, 2, 16, 16)
    for options in (PROJECTED, BESIDE):
        judge = discriminator(**options)
        first, second = (judge(images, torch.full((2,), label)) for label in (0, 1))
        assert not torch.allclose(first, second)
    made = generator(**BESIDE)
    z = torch.randn(1, 5).expand(2, -1)
    assert not torch.allclose(*made(z, torch.tensor([0, 1])))


# ---------------------------------------------------------------------- both


@pytest.mark.parametrize(
    ("for_generator", "for_discriminator"),
    [
        ({}, {}),
        ({**BESIDE, "grouped": True}, PROJECTED),
        ({"half_stages": 0}, {"residual": False, "half_stages": 0}),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_weight_learns(for_generator, for_discriminator, layout, dtype):
    """Under autocast, in both memory layouts; noise's strength, which starts at 0, among them."""
    made, judge = generator(**for_generator), discriminator(**for_discriminator)
    players = nn.ModuleList([made, judge]).to(memory_format=layout)
    y = torch.tensor([0, 1, 2, 0]) if "num_classes" in for_generator else None
    with torch.autocast("cpu", dtype):
        images = made(torch.randn(4, 5), y)
        logits = judge(images, y)
    assert images.dtype == logits.dtype == torch.float32
    (logits * torch.randn(4)).sum().backward()
    for name, parameter in players.named_parameters():
        assert parameter.grad.isfinite().all(), name
        if not (name.endswith("bias") and "mapping" in name):
            assert parameter.grad.abs().sum() > 0, name


def test_half_precision_is_close_to_full():
    made, judge = generator(), discriminator()
    z = torch.randn(4, 5)
    full = judge(made(z))
    with torch.autocast("cpu", torch.bfloat16):
        half = judge(made(z))
    torch.testing.assert_close(half, full, atol=0.1, rtol=0.1)
    assert not torch.equal(half, full)


@pytest.mark.parametrize(
    ("size", "stages", "expected"),
    [(1024, 4, [128, 256, 512, 1024]), (32, 4, [8, 16, 32]), (64, 0, []), (64, 1, [64])],
)
def test_which_stages_run_in_half_precision(size, stages, expected):
    sides = [4 << k for k in range(9) if 4 << k <= size]
    assert [side for side in sides if in_half_precision(side, size, stages)] == expected


def test_second_derivatives_reach_every_weight():
    """Those of R1 in the discriminator, of path lengths in the generator."""
    judge, made = discriminator(), awaken(generator())
    images = torch.randn(4, 2, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    w = made.mapping(torch.randn(4, 5))
    ws = made.mapping.broadcast(w)
    scene = (made.synthesize(ws) * torch.randn(4, 2, 16, 16)).sum()
    (slope,) = torch.autograd.grad(scene, ws, create_graph=True)
    slope.square().sum().backward()
    for name, parameter in [*judge.named_parameters(), *made.named_parameters()]:
        if parameter.grad is None:  # what only shifts where leaky ReLU bends
            assert name.endswith(("bias", "scale")), name
        else:
            assert parameter.grad.isfinite().all(), name
            assert name.endswith(("bias", "scale")) or parameter.grad.abs().sum() > 0, name


def test_layouts_agree():
    plain = nn.ModuleList([generator(), discriminator()])
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    z = torch.randn(4, 5)
    logits = [judge(made(z)) for made, judge in (plain, last)]
    torch.testing.assert_close(*logits)


@pytest.mark.parametrize("grouped", [False, True])
def test_one_graph(grouped):
    """torch.compile finds nothing that would break the graph of either player."""
    torch.compiler.reset()
    made, judge = generator(grouped=grouped, **BESIDE), discriminator(**PROJECTED)
    z, y = torch.randn(4, 5), torch.tensor([0, 1, 2, 0])
    compile_ = {"backend": "eager", "fullgraph": True}
    images = torch.compile(made, **compile_)(z, y)
    torch.testing.assert_close(images, made(z, y))
    torch.testing.assert_close(torch.compile(judge, **compile_)(images, y), judge(images, y))


def test_there_is_no_norm_to_steer():
    with pytest.raises(ConfigError, match="condition=embedding"):
        generator(num_classes=CLASSES, conditioning="normalization")


@pytest.mark.parametrize("make", [generator, discriminator])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": 48}, "image_size must be one of 8, 16, 32, .*1024; got 48"),
        ({"full_width": 33}, "full_width must be one of 4, 8, .*1024; got 33"),
        ({"width": 0}, "width must be at least 1"),
        ({"half_stages": -1}, "half_stages must be at least 0"),
        ({"clamp": 0.0}, "clamp must be above 0 or null"),
    ],
)
def test_refuses_arguments(make, wrong, message):
    with pytest.raises(ConfigError, match=message):
        make(**wrong)


def test_refuses_a_group_of_one():
    with pytest.raises(ConfigError, match="minibatch_stddev must be 0"):
        discriminator(minibatch_stddev=1)
