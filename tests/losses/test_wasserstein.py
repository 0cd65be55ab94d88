from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ganforge.losses.wasserstein import WassersteinLoss
from tests.losses.cases import FINITE, LOGITS, gradients, logits
from tests.support.properties import deterministic


def test_values_by_hand():
    loss = WassersteinLoss()
    assert loss.discriminator(logits(3, 5), logits(1, 0)).item() == 0.5 - 4
    assert loss.generator(logits(1, 0)).item() == -0.5


def test_gradients_are_constant():
    real, fake = logits(3, -500), logits(7, 0)
    value = WassersteinLoss().discriminator(real, fake)
    assert gradients(value, real, fake) == [[-0.5, -0.5], [0.5, 0.5]]
    assert gradients(WassersteinLoss().generator(fake), fake) == [[-0.5, -0.5]]


@deterministic
@given(LOGITS, LOGITS, st.floats(-10, 10))
def test_logits_have_no_origin(real, fake, shift):
    real, fake = torch.tensor(real).double(), torch.tensor(fake).double()
    loss = WassersteinLoss()
    moved = loss.discriminator(real + shift, fake + shift)
    torch.testing.assert_close(loss.discriminator(real, fake), moved)
    assert loss.boundary is None


@deterministic
@given(FINITE, FINITE)
def test_antisymmetric(a, b):
    a, b = torch.tensor([a]), torch.tensor([b])
    loss = WassersteinLoss()
    assert loss.discriminator(a, b) == -loss.discriminator(b, a)
