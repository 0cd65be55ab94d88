from __future__ import annotations

import math

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.regularizers.zero_centered import R1, R2
from ganforge.streams import Noise
from tests.regularizers.critics import SHAPES, LinearCritic, batch, quadratic

QUARTER = (1 - math.sqrt(0.5)) / 2  # of half a cosine, at a quarter of the way
both = pytest.mark.parametrize("kind", [R1, R2])


@both
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_critic(kind, shape):
    """|w|^2 / 2, with derivative w."""
    critic = LinearCritic(shape)
    penalty = kind().penalty(critic, batch(shape, 0), batch(shape, 1), Noise(0, 6))
    torch.testing.assert_close(penalty, critic.w.square().sum() / 2)
    torch.testing.assert_close(torch.autograd.grad(penalty, critic.w)[0], critic.w.detach())


@pytest.mark.parametrize(("kind", "chosen"), [(R1, 0), (R2, 1)])
def test_the_points_of_the_gradient(kind, chosen):
    """For f = |x|^2 / 2 the penalty is E|x|^2 / 2 of the images looked at."""
    images = [batch((3, 4, 4), 0), 2 * batch((3, 4, 4), 1)]
    penalty = kind().penalty(quadratic, *images, Noise(0, 6))
    expected = images[chosen].flatten(1).square().sum(1).mean() / 2
    torch.testing.assert_close(penalty, expected)


@both
def test_lazy_updates(kind):
    lazy = kind(every=4)
    assert [update for update in range(9) if lazy.due(update)] == [0, 4, 8]


@both
def test_the_weight_stays_by_default(kind):
    assert {kind(3.0).weight_at(images) for images in (0, 10**6, 10**9)} == {3.0}


@both
def test_the_weight_follows_half_a_cosine_over_images(kind):
    """R3GAN's for CIFAR-10: 0.05 to 0.005 over 20 million images."""
    term = kind(0.05, final_weight=0.005, decay_images=20_000_000)
    found = [term.weight_at(images) for images in (0, 5 * 10**6, 10**7, 2 * 10**7, 10**9)]
    assert found == pytest.approx([0.05, 0.05 - 0.045 * QUARTER, 0.0275, 0.005, 0.005])


@both
def test_a_penalty_may_fade_away_or_in(kind):
    assert kind(2.0, final_weight=0.0, decay_images=4).weight_at(4) == 0
    assert kind(0.0, final_weight=2.0, decay_images=4).weight_at(2) == pytest.approx(1)


@both
def test_refusals(kind):
    with pytest.raises(ConfigError, match="weight"):
        kind(weight=-1.0)
    with pytest.raises(ConfigError, match="every"):
        kind(every=0)
    with pytest.raises(ConfigError, match=f"{kind.__name__}: final_weight must be at least 0"):
        kind(final_weight=-1.0)
    with pytest.raises(ConfigError, match=f"{kind.__name__}: decay_images must be at least 1"):
        kind(decay_images=0)
