from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.dcgan import DCGANDiscriminator
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.streams import Noise
from tests.regularizers.critics import SHAPES, LinearCritic, batch, quadratic


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", [1.0, 3.0])
def test_linear_critic(shape, target):
    """(|w| - target)^2, with derivative 2 (|w| - target) w / |w|."""
    critic = LinearCritic(shape)
    regularizer = GradientPenalty(target=target)
    penalty = regularizer.penalty(critic, batch(shape, 0), batch(shape, 1), Noise(0, 6))
    length = critic.w.detach().norm()
    torch.testing.assert_close(penalty, (length - target) ** 2)
    derivative = 2 * (length - target) * critic.w.detach() / length
    torch.testing.assert_close(torch.autograd.grad(penalty, critic.w)[0], derivative)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_taken_between_real_and_fake(shape):
    """For f = |x|^2 / 2 the gradient is y = alpha x + (1 - alpha) G(z), one alpha an image."""
    real, fake = batch(shape, 0), batch(shape, 1)
    alpha = Noise(5, 6).uniform(*(1 for _ in shape))
    between = alpha * real + (1 - alpha) * fake
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    penalty = GradientPenalty().penalty(quadratic, real, fake, Noise(5, 6))
    torch.testing.assert_close(penalty, expected)


def test_is_two_sided():
    """A gradient of norm 1/2 costs as much as one of norm 3/2."""
    real, fake = batch((2,), 0), batch((2,), 1)
    costs = []
    for length in (0.5, 1.5):
        critic = LinearCritic((2,))
        critic.w.data *= length / critic.w.data.norm()
        costs.append(GradientPenalty().penalty(critic, real, fake, Noise(0, 6)).item())
    assert costs == pytest.approx([0.25, 0.25])


def test_flat_critic_is_drawn_up_without_nan():
    critic = LinearCritic((3, 4, 4))
    critic.w.data.zero_()
    penalty = GradientPenalty().penalty(
        critic, batch((3, 4, 4), 0), batch((3, 4, 4), 1), Noise(0, 6)
    )
    assert penalty.item() == 1
    assert torch.autograd.grad(penalty, critic.w)[0].isfinite().all()


def test_processes_take_their_shares_of_one_draw():
    real, fake = batch((3, 4, 4), 0), batch((3, 4, 4), 1)
    whole = GradientPenalty().penalty(quadratic, real, fake, Noise(5, 6))
    shares = [
        GradientPenalty().penalty(quadratic, real[r::2], fake[r::2], Noise(5, 3, rank=r, world=2))
        for r in range(2)
    ]
    torch.testing.assert_close(whole, sum(shares) / 2)


def test_packs_take_the_draws_of_their_first_images_in_parts_too():
    real, fake = batch((6, 4, 4), 0, rows=4), batch((6, 4, 4), 1, rows=4)
    alpha = Noise(5, 8).uniform(1, 1, 1)[::2]
    between = alpha * real + (1 - alpha) * fake
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    penalty = GradientPenalty().penalty
    torch.testing.assert_close(penalty(quadratic, real, fake, Noise(5, 8)), expected)
    pieces = zip(real.chunk(2), fake.chunk(2), Noise(5, 8).split(2), strict=True)
    parts = [penalty(quadratic, *piece) for piece in pieces]
    torch.testing.assert_close(sum(parts) / 2, expected)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4), nn.BatchNorm2d(4), nn.SyncBatchNorm(4)])
def test_refuses_batch_norm_and_says_what_to_do(layer):
    network = nn.Sequential(nn.Linear(2, 4), nn.Sequential(layer))
    with pytest.raises(ConfigError, match=f"{type(layer).__name__} \\(1.0\\)") as refusal:
        GradientPenalty().check(network)
    assert "network=dcgan_layer_norm" in str(refusal.value)
    assert "network.discriminator.norm=layer" in str(refusal.value)


@pytest.mark.parametrize("norm", ["instance", "layer", "none"])
def test_takes_other_norms(norm):
    GradientPenalty().check(DCGANDiscriminator(16, 1, width=4, norm=norm))


def test_refuses_dcgan_as_published():
    with pytest.raises(ConfigError, match="BatchNorm2d"):
        GradientPenalty().check(DCGANDiscriminator(32, 1, width=4))


@pytest.mark.parametrize("arguments", [{"target": 0.0}, {"weight": -1.0}, {"every": 0}])
def test_refusals(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        GradientPenalty(**arguments)
