from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.networks.layers.styles import NoiseInput, noise_maps
from ganforge.networks.stylegan import (
    AdaIN,
    SmoothHalvingBlock,
    StyleGANDiscriminator,
    StyleGANGenerator,
    adain,
)
from ganforge.streams import Noise


def generator(image_size: int = 16, **changes) -> StyleGANGenerator:
    """A small one, whose noise is not 0 as it is at the start."""
    torch.manual_seed(0)
    sizes = {"latent_dim": 6, "w_dim": 5, "mapping_layers": 2, "width": 4, "full_width": 8}
    network = StyleGANGenerator(image_size, 1, **sizes | changes)
    for layer in network.modules():
        if isinstance(layer, NoiseInput):
            nn.init.normal_(layer.scale)
    return network


def styles(network: StyleGANGenerator, rows: int = 2) -> torch.Tensor:
    return network.mapping.broadcast(network.mapping(torch.randn(rows, 6)))


def test_the_published_sizes():
    """26.2 M: arXiv:1812.04948, section 2. 23.1 M for the discriminator: arXiv:1710.10196."""
    with torch.device("meta"):
        players = StyleGANGenerator(1024, 3), StyleGANDiscriminator(1024, 3)
    counts = [sum(p.numel() for p in player.parameters()) for player in players]
    assert counts[0] == 26_219_627
    assert counts[0] == pytest.approx(26.2e6, rel=0.005)
    assert counts[1] == pytest.approx(23.1e6, rel=0.005)
    assert players[0].mapping.num_ws == 18


def test_images_have_the_current_level():
    network = generator(32)
    for level, side in ((0, 4), (0.5, 8), (1, 8), (2.25, 32), (3, 32)):
        network.grow(level)
        assert network(torch.randn(2, 6)).shape == (2, 1, side, side)
        maps = noise_maps(Noise(0, 2), network.noise_sides, "random")
        assert network.synthesize(styles(network), maps).shape == (2, 1, side, side)
        assert len(maps) == 2 * (side.bit_length() - 2)


def test_a_fade_goes_from_the_size_below_to_the_full_network():
    network = generator()
    ws = styles(network)
    found = {}
    for level in (1.0, 1.0 + 1e-6, 1.5, 2.0):
        network.grow(level)
        found[level] = network.synthesize(ws)
    doubled = F.interpolate(found[1.0], scale_factor=2)
    torch.testing.assert_close(found[1.0 + 1e-6], doubled, atol=1e-4, rtol=0)
    torch.testing.assert_close(found[1.5], (doubled + found[2.0]) / 2)


def test_images_depend_on_chance_through_the_noise_inputs_alone():
    network = generator().eval()
    ws = styles(network)
    sides = network.noise_sides
    first, other = (noise_maps(Noise(seed, 2), sides, "random") for seed in (1, 2))
    torch.manual_seed(0)
    images = network.synthesize(ws, first)
    torch.manual_seed(1)
    assert torch.equal(network.synthesize(ws, first), images)
    assert not torch.equal(network.synthesize(ws, other), images)
    for layer in network.modules():
        if isinstance(layer, NoiseInput):
            nn.init.zeros_(layer.scale)
    assert torch.equal(network.synthesize(ws, first), network.synthesize(ws, other))
    assert torch.equal(network.synthesize(ws, first), network.synthesize(ws))


def test_maps_of_zero_leave_the_features_alone():
    network = generator().eval()
    ws = styles(network)
    blank = network.synthesize(ws, noise_maps(Noise(0, 2), network.noise_sides, "none"))
    for layer in network.modules():
        if isinstance(layer, NoiseInput):
            nn.init.zeros_(layer.scale)
    assert torch.equal(network.synthesize(ws), blank)


def test_called_plainly_it_takes_the_constant_maps():
    network = generator().eval()
    z = torch.randn(2, 6)
    constant = [m.constant for m in network.modules() if isinstance(m, NoiseInput)]
    images = network(z)
    assert torch.equal(network(z), images)
    expected = network.synthesize(network.mapping.broadcast(network.mapping(z)), constant)
    assert torch.equal(images, expected)


def test_each_layer_has_its_style():
    """A style changes the features of its layer and of those after it, and none before."""
    network = generator().train()
    ws = styles(network, rows=1)
    seen: list[torch.Tensor] = []
    for stage in network.stages:
        for layer in (stage.first, stage.second):
            layer.register_forward_hook(lambda _, __, out: seen.append(out))
    network.synthesize(ws)
    before = list(seen)
    for changed in range(6):
        other = ws.clone()
        other[:, changed] += 1
        seen.clear()
        network.synthesize(other)
        same = [torch.equal(*pair) for pair in zip(before, seen, strict=True)]
        assert same == [True] * changed + [False] * (6 - changed)


def test_every_layer_that_is_in_use_gets_a_gradient():
    network = generator(16).train()
    network(torch.randn(2, 6)).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == [f"to_image.{k}.{name}" for k in (0, 1) for name in ("weight", "bias")]


def test_the_discriminator_smooths_before_it_halves():
    """A checkerboard, the finest pattern, is gone after [1, 2, 1] in both directions."""
    block = SmoothHalvingBlock(1, 1)
    board = torch.ones(8, 8)
    board[::2, ::2] = board[1::2, 1::2] = -1
    halved = block.halve(board[None, None])
    assert halved[:, :, 1:-1, 1:-1].abs().max() < 1e-6
    features = torch.randn(2, 1, 8, 8)
    inside = F.leaky_relu(block.first(features), 0.2)
    torch.testing.assert_close(
        block(features), F.leaky_relu(block.halve(block.second(inside)), 0.2)
    )


def test_the_discriminator_accepts_each_level():
    torch.manual_seed(0)
    discriminator = StyleGANDiscriminator(32, 1, width=4, full_width=8, num_classes=3)
    for level, side in ((0, 4), (1.5, 16), (3, 32)):
        discriminator.grow(level)
        assert discriminator(torch.randn(4, 1, side, side)).shape == (4,)


def test_half_precision_changes_little():
    network = generator(width=8)
    ws = styles(network)
    discriminator = StyleGANDiscriminator(16, 1, width=8, full_width=8)
    images = network.synthesize(ws)
    logits = discriminator(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.synthesize(ws)
        rough_logits = discriminator(images)
    torch.testing.assert_close(rough.float(), images, atol=0.2, rtol=0.1)
    torch.testing.assert_close(rough_logits.float(), logits, atol=0.2, rtol=0.1)


def test_it_compiles_once_for_a_whole_fade():
    """Without a break, and reused for each alpha."""
    network = generator().train()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    z = torch.randn(2, 6)
    network.grow(1.25)
    torch.testing.assert_close(compiled(z), network(z))
    with torch._dynamo.config.patch(error_on_recompile=True):
        network.grow(1.75)
        torch.testing.assert_close(compiled(z), network(z))


def test_each_map_gets_the_mean_and_deviation_of_its_style():
    torch.manual_seed(0)
    features = 5 * torch.randn(2, 3, 8, 8) + 7
    gain, shift = torch.randn(2, 3), torch.randn(2, 3)
    variance, mean = torch.var_mean(adain(features, gain, shift), dim=(2, 3), correction=0)
    torch.testing.assert_close(mean, shift)
    torch.testing.assert_close(variance.sqrt(), gain.abs())


def test_it_is_equation_1():
    torch.manual_seed(0)
    features = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    gain, shift = torch.randn(2, 2, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    out = adain(features, gain, shift, eps=0.0)
    for b in range(2):
        for c in range(2):
            x = features[b, c]
            deviation = ((x - x.mean()) ** 2).mean() ** 0.5
            expected = gain[b, c] * (x - x.mean()) / deviation + shift[b, c]
            torch.testing.assert_close(out[b, c], expected)


def test_gradients_and_their_gradients():
    torch.manual_seed(0)
    inputs = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 2, 3, 3), (2, 2), (2, 2))
    ]
    assert torch.autograd.gradcheck(adain, inputs)
    assert torch.autograd.gradgradcheck(adain, inputs)


def test_a_constant_map_has_finite_gradients():
    features = torch.ones(1, 1, 4, 4, requires_grad=True)
    adain(features, torch.ones(1, 1), torch.zeros(1, 1)).square().sum().backward()
    assert torch.isfinite(features.grad).all()


def test_half_precision_does_not_overflow():
    features = 1000 * torch.randn(1, 1, 8, 8)
    out = adain(features.half(), torch.ones(1, 1), torch.zeros(1, 1))
    assert out.dtype == torch.float16
    expected = adain(features, torch.ones(1, 1), torch.zeros(1, 1))
    torch.testing.assert_close(out.float(), expected, atol=0.01, rtol=0.01)


def test_styles_start_near_gain_1_and_shift_0():
    torch.manual_seed(0)
    layer = AdaIN(channels=64, w_dim=32)
    w = torch.zeros(1, 32)
    variance, mean = torch.var_mean(layer(torch.randn(1, 64, 8, 8), w), dim=(2, 3), correction=0)
    torch.testing.assert_close(variance, torch.ones(1, 64))
    torch.testing.assert_close(mean, torch.zeros(1, 64), atol=1e-6, rtol=0)
