from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given

from ganforge.errors import ConfigError
from ganforge.losses.least_squares import LeastSquaresLoss
from tests.losses.cases import LOGITS, gradients, logits
from tests.support.properties import deterministic


def test_values_by_hand():
    """1/2 mean((1 - 1)^2, (3 - 1)^2) + 1/2 mean(0^2, 1^2) = 1 + 1/4."""
    loss = LeastSquaresLoss()
    assert loss.discriminator(logits(1, 3), logits(0, -1)).item() == 1.25
    assert loss.generator(logits(0, 3)).item() == pytest.approx((1 + 4) / 4)


def test_labels_of_pearson_chi_squared():
    """a = -1, b = 1, c = 0: the generator wants logits of 0."""
    loss = LeastSquaresLoss(fake_label=-1, real_label=1, generator_label=0)
    assert loss.discriminator(logits(1), logits(-1)).item() == 0
    assert loss.generator(logits(2)).item() == 2
    assert loss.boundary == 0


def test_the_boundary_is_between_the_labels():
    assert LeastSquaresLoss().boundary == 0.5
    assert LeastSquaresLoss(real_label=0.9).boundary == pytest.approx(0.45)


def test_gradient_is_the_distance_to_the_label():
    real, fake = logits(3), logits(3)
    loss = LeastSquaresLoss()
    assert gradients(loss.discriminator(real, fake), real, fake) == [[2], [3]]
    assert gradients(loss.generator(fake), fake) == [[2]]


@deterministic
@given(LOGITS, LOGITS)
def test_exchange_of_classes(real, fake):
    """Reflecting logits at the boundary exchanges the classes."""
    real, fake = torch.tensor(real), torch.tensor(fake)
    loss = LeastSquaresLoss()
    value = loss.discriminator(real, fake)
    torch.testing.assert_close(value, loss.discriminator(1 - fake, 1 - real))
    assert value >= 0


@pytest.mark.parametrize(
    "labels", [{"real_label": 0.0}, {"generator_label": -1.0}, {"fake_label": math.nan}]
)
def test_refuses_labels_in_the_wrong_order(labels):
    with pytest.raises(ConfigError, match="must be above fake_label"):
        LeastSquaresLoss(**labels)
