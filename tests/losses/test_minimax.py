from __future__ import annotations

import math

import pytest
import torch

from ganforge.losses.minimax import MinimaxLoss
from tests.losses.cases import gradients, logits

LOG4 = math.log(4)


def test_optimum_has_the_value_minus_log_4():
    """At D = 1/2 everywhere V = E[log D] + E[log(1 - D)] = -log 4, and D minimizes -V."""
    loss = MinimaxLoss()
    assert loss.discriminator(logits(0, 0), logits(0, 0)).item() == pytest.approx(LOG4)
    assert loss.generator(logits(0, 0)).item() == pytest.approx(-LOG4 / 2)


def test_values_by_hand():
    """D = 3/4 has the logit log 3: the discriminator pays -log 3/4 and -log(1 - 1/4)."""
    loss = MinimaxLoss()
    sure = math.log(3)
    value = loss.discriminator(logits(sure), logits(-sure)).item()
    assert value == pytest.approx(-2 * math.log(0.75))
    assert loss.generator(logits(sure)).item() == pytest.approx(math.log(0.25))


def test_generator_saturates_where_the_discriminator_wins():
    """d/dl log(1 - sigmoid(l)) = -sigmoid(l): 1/2 at 0, next to nothing at -20."""
    fake = logits(0, -20)
    (gradient,) = gradients(MinimaxLoss().generator(fake), fake)
    assert gradient == pytest.approx([-0.25, -torch.tensor(-20.0).sigmoid().item() / 2])
    assert abs(gradient[1]) < 2e-9


def test_players_pull_the_fake_logits_in_opposite_directions():
    loss = MinimaxLoss()
    fake = logits(-1, 0.5, 2)
    (down,) = gradients(loss.discriminator(logits(0, 0, 0), fake), fake)
    (up,) = gradients(loss.generator(fake), fake)
    assert [a + b for a, b in zip(down, up, strict=True)] == pytest.approx([0, 0, 0])


def test_large_logits_stay_finite_and_exact():
    loss = MinimaxLoss()
    assert loss.discriminator(logits(-1e4), logits(1e4)).item() == 2e4
    tiny = loss.discriminator(torch.tensor([20.0]), torch.tensor([-20.0])).item()
    assert tiny == pytest.approx(2 * math.exp(-20), rel=1e-6)
