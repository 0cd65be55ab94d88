from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.networks.dcgan import DCGANDiscriminator
from ganforge.regularizers.dragan import DRAGAN
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.regularizers.weight_clip import WeightClip
from ganforge.regularizers.zero_centered import R1, R2
from ganforge.streams import Noise
from tests.regularizers.critics import LinearCritic, batch
from tests.support import games


def test_every_weight_ends_within_the_bound():
    """Weights within it stay as they are, others end on it; running statistics are left alone."""
    torch.manual_seed(0)
    critic = DCGANDiscriminator(16, 1, width=4)
    before = {name: p.detach().clone() for name, p in critic.named_parameters()}
    buffers = {name: b.clone() for name, b in critic.named_buffers()}
    WeightClip(0.015).constrain(critic)
    for name, parameter in critic.named_parameters():
        assert torch.equal(parameter, before[name].clamp(-0.015, 0.015))
        assert parameter.requires_grad
        assert parameter.grad_fn is None
    assert any((p.abs() == 0.015).any() and (p.abs() < 0.015).any() for p in critic.parameters())
    assert all(torch.equal(b, buffers[name]) for name, b in critic.named_buffers())


def test_has_no_penalty():
    images = batch((2,), 0)
    assert WeightClip().penalty(LinearCritic((2,)), images, images, Noise(0, 6)) is None


@pytest.mark.parametrize("bound", [0.0, -0.01, float("nan")])
def test_refuses_bound(bound):
    with pytest.raises(ConfigError, match="bound must be above 0"):
        WeightClip(bound)


@pytest.mark.parametrize("penalty", [GradientPenalty, DRAGAN, R1, R2])
@pytest.mark.parametrize("first", [True, False])
def test_excludes_gradient_penalties_in_any_order(penalty, first):
    terms = {"clip": WeightClip(), "penalty": penalty()}
    order = list(terms) if first else list(terms)[::-1]
    with pytest.raises(ConfigError, match=r"penalty and clip exclude .*both bound the critic"):
        games.game(regularizers={name: terms[name] for name in order})


def test_refuses_weights_that_are_normalized_afterwards():
    with pytest.raises(ConfigError, match=r"normalized \(from_image\.0\).*without spectral norm"):
        WeightClip().check(DCGANDiscriminator(16, 1, width=4, norm="none", spectral_norm=True))
