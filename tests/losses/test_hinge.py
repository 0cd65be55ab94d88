from __future__ import annotations

import torch
from hypothesis import given

from ganforge.losses.hinge import HingeLoss
from tests.losses.cases import LOGITS, gradients, logits
from tests.support.properties import deterministic


def test_values_by_hand():
    """Reals at 2 and 0 pay 0 and 1, fakes at -3 and 1 pay 0 and 2."""
    loss = HingeLoss()
    assert loss.discriminator(logits(2, 0), logits(-3, 1)).item() == 0.5 + 1
    assert loss.generator(logits(-3, 1)).item() == 1


def test_no_gradient_beyond_the_margin():
    real, fake = logits(2, 0), logits(-3, 1)
    value = HingeLoss().discriminator(real, fake)
    assert gradients(value, real, fake) == [[0, -0.5], [0, 0.5]]
    assert gradients(HingeLoss().generator(fake), fake) == [[-0.5, -0.5]]


@deterministic
@given(LOGITS, LOGITS)
def test_never_negative_and_zero_beyond_the_margins(real, fake):
    real, fake = torch.tensor(real), torch.tensor(fake)
    loss = HingeLoss()
    assert loss.discriminator(real, fake) >= 0
    assert loss.discriminator(real.abs() + 1, -fake.abs() - 1) == 0
    torch.testing.assert_close(loss.discriminator(real, fake), loss.discriminator(-fake, -real))
