from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganforge.networks.mlp import FourierFeatures, MLPDiscriminator, MLPGenerator


def test_number_of_parameters():
    """(100 + 1) 8 + (8 + 1) 12 and (12 + 1) 8 + (8 + 1) 1."""
    generator = MLPGenerator(2, 3, latent_dim=100, hidden=[8])
    discriminator = MLPDiscriminator(2, 3, hidden=[8])
    assert sum(p.numel() for p in generator.parameters()) == 808 + 108
    assert sum(p.numel() for p in discriminator.parameters()) == 104 + 9


def test_dropout_in_training_alone():
    torch.manual_seed(0)
    images = torch.randn(4, 1, 8, 8)
    discriminator = MLPDiscriminator(8, 1, hidden=[64, 64], dropout=0.5)
    assert not torch.equal(discriminator(images), discriminator(images))
    discriminator.eval()
    assert torch.equal(discriminator(images), discriminator(images))
    assert not any(isinstance(m, nn.Dropout) for m in MLPDiscriminator(8, 1).modules())


def test_signal_keeps_its_scale():
    """Initial images use the range: without norms, N(0, 0.02) would leave them gray."""
    torch.manual_seed(0)
    images = MLPGenerator(28, 1)(torch.randn(64, 100))
    assert 0.4 < images.std() < 0.9


def test_waves_of_doubling_frequency():
    features = FourierFeatures(2, 2, frequency=math.pi)(torch.tensor([[0.5, 0.25]]))
    half = math.sqrt(0.5)
    sines = [1.0, 0.0, half, 1.0]  # sin pi/2, sin pi, sin pi/4, sin pi/2
    cosines = [0.0, -1.0, half, 0.0]
    expected = torch.tensor([[0.5, 0.25, *sines, *cosines]])
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-6)
    assert FourierFeatures(2, 2).output_dim == 10


def test_without_octaves_nothing_changes():
    vectors = torch.randn(3, 4)
    assert FourierFeatures(4, 0)(vectors) is vectors
    torch.manual_seed(0)
    plain = MLPDiscriminator(4, 1, hidden=[5])
    assert plain.hidden[0].in_features == 16


def test_frequencies_are_no_weights():
    assert not FourierFeatures(2, 3).state_dict()


@pytest.mark.parametrize("conditioning", ["none", "concatenation"])
def test_networks_of_points(conditioning):
    classes = 0 if conditioning == "none" else 3
    labels = None if conditioning == "none" else torch.tensor([0, 2, 1, 1])
    generator = MLPGenerator(
        1, 2, 2, [8], num_classes=classes, conditioning=conditioning, octaves=3
    )
    discriminator = MLPDiscriminator(
        1, 2, [8], num_classes=classes, conditioning=conditioning, octaves=4
    )
    points = generator(torch.randn(4, 2), labels)
    assert points.shape == (4, 2, 1, 1)
    assert discriminator(points, labels).shape == (4,)
    assert generator.hidden[0].in_features == 2 * 7 + classes
    assert discriminator.hidden[0].in_features == 2 * 9 + classes


def test_far_latents_stay_in_the_box():
    generator = MLPGenerator(1, 2, 2, [8], octaves=3)
    far = generator(torch.tensor([[40.0, -40.0], [80.0, -80.0]]))
    torch.testing.assert_close(far[0], far[1])
