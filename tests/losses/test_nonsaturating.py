from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given

from ganforge.losses.minimax import MinimaxLoss
from ganforge.losses.nonsaturating import NonsaturatingLoss
from tests.losses.cases import LOGITS, gradients, logits
from tests.support.properties import deterministic


def test_values_by_hand():
    """The generator pays -log D: log 2 at D = 1/2 and log 4 at D = 1/4."""
    loss = NonsaturatingLoss()
    assert loss.generator(logits(0)).item() == pytest.approx(math.log(2))
    assert loss.generator(logits(-math.log(3))).item() == pytest.approx(math.log(4))
    assert loss.discriminator(logits(0), logits(0)).item() == pytest.approx(math.log(4))


def test_generator_learns_where_the_discriminator_wins():
    """d/dl -log sigmoid(l) = sigmoid(l) - 1: -1/2 at 0, all of -1 at -20."""
    fake = logits(0, -20)
    (gradient,) = gradients(NonsaturatingLoss().generator(fake), fake)
    assert gradient == pytest.approx([-0.25, -0.5])


@deterministic
@given(LOGITS, LOGITS)
def test_discriminator_is_symmetric_and_that_of_minimax(real, fake):
    """Exchanging the classes and the signs of the logits changes nothing."""
    real, fake = torch.tensor(real), torch.tensor(fake)
    value = NonsaturatingLoss().discriminator(real, fake)
    torch.testing.assert_close(value, NonsaturatingLoss().discriminator(-fake, -real))
    torch.testing.assert_close(value, MinimaxLoss().discriminator(real, fake))
    assert value >= 0


@deterministic
@given(LOGITS)
def test_generators_differ_by_the_logit(fake):
    """-log D - log(1 - D) = -log D(1 - D), and log(1 - D) = -l + log D."""
    fake = torch.tensor(fake)
    difference = MinimaxLoss().generator(fake) - NonsaturatingLoss().generator(fake)
    mean = torch.log(torch.sigmoid(fake.double()) * torch.sigmoid(-fake.double())).mean()
    torch.testing.assert_close(difference.double(), mean, rtol=1e-4, atol=1e-4)
