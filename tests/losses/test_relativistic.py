from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganforge.errors import ConfigError
from ganforge.losses.relativistic import RelativisticLoss
from tests.losses.cases import FINITE, gradients, logits
from tests.support.properties import deterministic

PAIRS = st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=8)


def test_contract():
    assert RelativisticLoss.paired
    assert RelativisticLoss.boundary is None


def test_values_by_hand():
    """Differences of log 3 and 0: D pays -log 3/4 and -log 1/2, G -log 1/4 and -log 1/2."""
    loss = RelativisticLoss()
    real, fake = logits(5 + math.log(3), 1), logits(5, 1)
    d = -(math.log(0.75) + math.log(0.5)) / 2
    g = -(math.log(0.25) + math.log(0.5)) / 2
    assert loss.discriminator(real, fake).item() == pytest.approx(d)
    assert loss.generator(fake, real).item() == pytest.approx(g)


def test_gradients_are_opposite():
    """Half of the pull goes up on the real and half down on the fake, at equal logits."""
    real, fake = logits(4), logits(4)
    value = RelativisticLoss().discriminator(real, fake)
    assert gradients(value, real, fake) == [[-0.5], [0.5]]
    assert gradients(RelativisticLoss().generator(fake, real), real, fake) == [[0.5], [-0.5]]


@deterministic
@given(PAIRS, st.floats(-10, 10))
def test_only_differences_count_and_the_players_mirror_each_other(pairs, shift):
    real, fake = torch.tensor(pairs).double().unbind(1)
    loss = RelativisticLoss()
    value = loss.discriminator(real, fake)
    torch.testing.assert_close(value, loss.discriminator(real + shift, fake + shift))
    torch.testing.assert_close(value, loss.generator(real, fake))
    assert value >= 0


def test_generator_needs_real_logits():
    with pytest.raises(ConfigError, match="real_logits"):
        RelativisticLoss().generator(logits(0))
