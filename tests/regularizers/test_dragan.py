from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.regularizers.dragan import DRAGAN
from ganforge.streams import Noise
from tests.regularizers.critics import SHAPES, LinearCritic, batch, quadratic


@pytest.mark.parametrize("shape", SHAPES)
def test_linear_critic(shape):
    critic = LinearCritic(shape)
    penalty = DRAGAN(target=2.0).penalty(critic, batch(shape, 0), batch(shape, 1), Noise(0, 6))
    torch.testing.assert_close(penalty, (critic.w.norm() - 2) ** 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_taken_around_real_images(shape):
    """For f = |x|^2 / 2 the gradient is x + scale std(x) n with n ~ N(0, 1)."""
    real = batch(shape, 0)
    around = real + 0.25 * real.std(correction=0) * Noise(5, 6).normal(*shape)
    expected = (around.flatten(1).norm(dim=1) - 1).square().mean()
    penalty = DRAGAN(scale=0.25).penalty(quadratic, real, batch(shape, 1), Noise(5, 6))
    torch.testing.assert_close(penalty, expected)


def test_perturbation_has_the_stated_strength():
    real = batch((3, 16, 16), 0, rows=64)
    seen = []

    def spy(x):
        seen.append(x.detach())
        return quadratic(x)

    DRAGAN().penalty(spy, real, real, Noise(5, 64))
    noise = seen[0] - real
    assert noise.std().item() == pytest.approx(0.5 * real.std().item(), rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("arguments", [{"scale": -0.1}, {"target": 0.0}, {"weight": -1.0}])
def test_refusals(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        DRAGAN(**arguments)


def test_one_image_has_a_deviation():
    penalty = DRAGAN().penalty(quadratic, torch.ones(1, 1), torch.ones(1, 1), Noise(0, 1))
    assert penalty.item() == 0


def test_packs_take_the_draws_of_their_first_images():
    packs = batch((6, 4, 4), 0, rows=4)
    deviation = 0.5 * packs.std(correction=0)
    around = packs + deviation * Noise(5, 8).normal(6, 4, 4)[::2]
    expected = (around.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(DRAGAN().penalty(quadratic, packs, packs, Noise(5, 8)), expected)
