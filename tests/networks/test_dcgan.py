from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganforge.networks.layers.shapes import doubling_widths
from tests.networks.counting import count

NORMS = ["batch", "instance", "layer", "none"]


def test_parameters_of_the_original():
    assert count(DCGANGenerator, 64, 3) == 3_576_704
    assert count(DCGANDiscriminator, 64, 3) == 2_765_568


def singular_values(network):
    """Of each weight as a matrix [C_out, everything else]."""
    values = []
    for module in network.modules():
        if hasattr(module, "parametrizations"):
            transposed = isinstance(module, nn.ConvTranspose2d)
            weight = (
                module.weight.detach().transpose(0, 1) if transposed else module.weight.detach()
            )
            values.append(torch.linalg.matrix_norm(weight.flatten(1), 2).item())
    return values


def test_widths_double_up_to_the_limit():
    assert doubling_widths(4, 64, 512) == [64, 128, 256, 512]
    assert doubling_widths(6, 64, 512) == [64, 128, 256, 512, 512, 512]
    assert doubling_widths(2, 32, 512) == [32, 64]


@pytest.mark.parametrize("norm", NORMS)
def test_bias_only_without_norms(norm):
    for network in (
        DCGANGenerator(32, 1, width=2, norm=norm),
        DCGANDiscriminator(32, 1, 2, norm=norm),
    ):
        layers = [
            m
            for m in network.modules()
            if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
        ]
        assert {layer.bias is not None for layer in layers} == {norm == "none"}


def test_norms_are_where_they_belong():
    """One behind each hidden layer; none at the images, on either side."""
    generator, discriminator = DCGANGenerator(64, 3, width=2), DCGANDiscriminator(64, 3, width=2)
    for network, number in ((generator, 4), (discriminator, 3)):
        assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == number
    assert not any(isinstance(m, nn.BatchNorm2d) for m in discriminator.from_image.modules())


@pytest.mark.parametrize("kind", [DCGANGenerator, DCGANDiscriminator])
def test_spectral_norm_keeps_the_top_singular_value_at_one(kind):
    torch.manual_seed(0)
    network = kind(32, 3, width=8, norm="none", spectral_norm=True)
    shape = (1, 100) if kind is DCGANGenerator else (1, 3, 32, 32)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(3 * torch.randn_like(parameter))  # far from where the iteration stood
        for _ in range(100):
            network(torch.randn(shape))
    values = singular_values(network.eval())
    assert len(values) == 4
    assert values == pytest.approx([1] * 4, abs=0.02)


def test_spectral_norm_makes_the_discriminator_lipschitz():
    """Strided 4x4 windows overlap: a layer's slope is at most its matrix norm times sqrt(4)."""
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(16, 1, width=8, norm="none", spectral_norm=True).eval()
    a, b = torch.randn(2, 32, 1, 16, 16)
    slopes = (discriminator(a) - discriminator(b)).abs() / (a - b).flatten(1).norm(dim=1)
    assert slopes.max() <= 4


@pytest.mark.parametrize("kind", [DCGANGenerator, DCGANDiscriminator])
@pytest.mark.parametrize("size", [0, 8, 28, 48, 512])
def test_refuses_sizes(kind, size):
    with pytest.raises(ConfigError, match=f"image_size must be one of 16, 32, .*; got {size}"):
        kind(size, 3)


def test_refused_size_comes_with_the_way_out():
    with pytest.raises(ConfigError, match=r"data\.image_size=32 .* network=mlp"):
        DCGANGenerator(28, 1)


@pytest.mark.parametrize("size", [16, 32, 128])
def test_attention(size):
    """32, or half the image: there each player has one layer, of that resolution's channels."""
    generator = DCGANGenerator(size, 1, 4, width=4, attention="auto")
    discriminator = DCGANDiscriminator(size, 1, width=4, attention="auto")
    side, channels = min(size // 2, 32), 4 * max(1, size // 64)
    for network in (generator, discriminator):
        (layer,) = network.attention.values()
        assert layer.f.in_channels == channels
        layer.register_forward_hook(lambda _, x, y: seen.append(y.shape[1:]))
    seen: list[torch.Size] = []
    discriminator(generator(torch.randn(2, 4)))
    assert seen == [(channels, side, side)] * 2


def test_attention_starts_as_nothing_and_learns():
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(16, 1, width=8, attention=[4, 8])
    images, plain = torch.randn(4, 1, 16, 16), DCGANDiscriminator(16, 1, width=8)
    plain.load_state_dict(discriminator.state_dict(), strict=False)
    assert torch.equal(discriminator(images), plain(images))
    discriminator(images).square().mean().backward()
    assert all(layer.gamma.grad.abs() > 0 for layer in discriminator.attention.values())


def test_the_head_gets_the_deviation_of_the_minibatch():
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(16, 1, width=4, norm="none", minibatch_stddev=2)
    assert discriminator.head.feature_dim == (8 + 1) * 16
    image = torch.randn(1, 1, 16, 16)
    features = discriminator.features(torch.cat([image, image])).view(2, 9, 4, 4)
    torch.testing.assert_close(features[:, 8], torch.full((2, 4, 4), 1e-4))
    features = discriminator.features(torch.cat([image, -image])).view(2, 9, 4, 4)
    expected = features[:, :8].std(0, correction=0).mean()
    torch.testing.assert_close(features[:, 8], expected.expand(2, 4, 4), rtol=1e-4, atol=1e-5)


def test_refuses_attention_and_groups():
    for kind in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ConfigError, match=r"out of 4, 8, 16; got \[32\]"):
            kind(32, 3, width=2, attention=[32])
    with pytest.raises(ConfigError, match="DCGANDiscriminator: minibatch_stddev must be 0"):
        DCGANDiscriminator(32, 3, width=2, minibatch_stddev=1)
