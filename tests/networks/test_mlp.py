from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.mlp import MLPDiscriminator, MLPGenerator


@pytest.mark.parametrize("size", [1, 7, 28, 32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("hidden", [[8], [8, 6, 4]])
def test_shapes(size, channels, hidden):
    generator = MLPGenerator(size, channels, latent_dim=5, hidden=hidden)
    discriminator = MLPDiscriminator(size, channels, hidden=hidden)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (2,)
    assert (generator.image_size, generator.channels, generator.latent_dim) == (size, channels, 5)
    assert (discriminator.image_size, discriminator.channels) == (size, channels)


def test_number_of_parameters():
    """(100 + 1) 8 + (8 + 1) 12 and (12 + 1) 8 + (8 + 1) 1."""
    generator = MLPGenerator(2, 3, latent_dim=100, hidden=[8])
    discriminator = MLPDiscriminator(2, 3, hidden=[8])
    assert sum(p.numel() for p in generator.parameters()) == 808 + 108
    assert sum(p.numel() for p in discriminator.parameters()) == 104 + 9


def test_discriminator_reads_channels_last():
    torch.manual_seed(0)
    discriminator = MLPDiscriminator(8, 3, hidden=[16])
    images = torch.randn(4, 3, 8, 8)
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(discriminator(images), discriminator(last))


def test_dropout_in_training_alone():
    torch.manual_seed(0)
    images = torch.randn(4, 1, 8, 8)
    discriminator = MLPDiscriminator(8, 1, hidden=[64, 64], dropout=0.5)
    assert not torch.equal(discriminator(images), discriminator(images))
    discriminator.eval()
    assert torch.equal(discriminator(images), discriminator(images))
    assert not any(isinstance(m, nn.Dropout) for m in MLPDiscriminator(8, 1).modules())


def test_signal_keeps_its_scale():
    """Initial images use the range: without norms, N(0, 0.02) would leave them grey."""
    torch.manual_seed(0)
    images = MLPGenerator(28, 1)(torch.randn(64, 100))
    assert 0.4 < images.std() < 0.9


@pytest.mark.parametrize("kind", [MLPGenerator, MLPDiscriminator])
@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": 0},
        {"channels": 5},
        {"hidden": []},
        {"hidden": [8, 0]},
        {"negative_slope": 1.0},
        {"negative_slope": -0.1},
    ],
)
def test_refuses_arguments(kind, wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"{kind.__name__}: {name} must"):
        kind(**({"image_size": 8, "channels": 3} | wrong))


def test_refuses_dropout_and_latent_dim():
    with pytest.raises(ConfigError, match="dropout"):
        MLPDiscriminator(8, 1, dropout=1.0)
    with pytest.raises(ConfigError, match="latent_dim"):
        MLPGenerator(8, 1, latent_dim=0)
