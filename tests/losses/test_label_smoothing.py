from __future__ import annotations

import inspect
import math

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.losses.hinge import HingeLoss
from ganforge.losses.label_smoothing import noisy_labels
from ganforge.losses.least_squares import LeastSquaresLoss
from ganforge.losses.minimax import MinimaxLoss
from ganforge.losses.nonsaturating import NonsaturatingLoss
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.losses.wasserstein import WassersteinLoss
from ganforge.streams import Noise
from tests.losses.cases import FixedNoise, gradients, logits

CLASSIFYING = [MinimaxLoss, NonsaturatingLoss]
LABELLED = [*CLASSIFYING, LeastSquaresLoss]


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_smoothing_moves_the_optimum_to_the_label(kind):
    """With label 0.9 the real term is least at D = 0.9, logit log 9, not at infinity."""
    real, fake = logits(math.log(9)), logits(0)
    value = kind(real_label=0.9).discriminator(real, fake)
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert value.item() == pytest.approx(entropy + math.log(2))
    assert gradients(value, real, fake) == [pytest.approx([0], abs=1e-12), [0.5]]


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_smoothing_is_one_sided(kind):
    fake = logits(-3, 1)
    plain = kind().discriminator(logits(0), fake)
    smooth = kind(real_label=0.9).discriminator(logits(0), fake)
    assert smooth.item() == pytest.approx(plain.item())


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_flips_by_hand(kind):
    """Draws below 0.25 flip: real 1 of 2 is called fake, then fake 2 of 2 is called real."""
    draws = FixedNoise([0.1, 0.9], [0.25, 0.2])
    real, fake = logits(1, 2), logits(3, 4)
    value = kind(label_noise=0.25).discriminator(real, fake, draws).item()

    def softplus(x):
        return math.log1p(math.exp(x))

    assert value == pytest.approx(
        (softplus(1) + softplus(-2)) / 2 + (softplus(3) + softplus(-4)) / 2
    )


def test_least_squares_flips_by_hand():
    """Labels 0 and 0.9; the first real is called 0, the second fake 0.9."""
    draws = FixedNoise([0.1, 0.9], [0.25, 0.2])
    loss = LeastSquaresLoss(real_label=0.9, label_noise=0.25)
    value = loss.discriminator(logits(1, 2), logits(3, 4), draws).item()
    assert value == pytest.approx(((1**2 + 1.1**2) / 2 + (3**2 + 3.1**2) / 2) / 2)


@pytest.mark.parametrize("kind", LABELLED)
def test_label_noise_needs_draws(kind):
    with pytest.raises(ConfigError, match=r"label_noise=0\.1.*noise"):
        kind(label_noise=0.1).discriminator(logits(0), logits(0))


@pytest.mark.parametrize("kind", LABELLED)
def test_generator_sees_no_label_noise(kind):
    fake = logits(0.3)
    assert torch.equal(kind(label_noise=0.4).generator(fake), kind().generator(fake))


def test_without_noise_nothing_is_drawn():
    draws = Noise(3, 4)
    NonsaturatingLoss().discriminator(torch.zeros(4), torch.zeros(4), draws)
    assert torch.equal(draws.uniform(), Noise(3, 4).uniform())


@pytest.mark.parametrize("kind", LABELLED)
def test_one_flip_for_each_pack(kind):
    """Draws have a row for each image, of which two make one logit."""
    real, fake = logits(1, 2), logits(3, 4)
    packed = FixedNoise([0.1, 0.9, 0.9, 0.9], [0.9, 0.9, 0.1, 0.9])
    single = FixedNoise([0.1, 0.9], [0.9, 0.1])
    loss = kind(label_noise=0.25)
    assert loss.discriminator(real, fake, packed) == loss.discriminator(real, fake, single)


def test_share_of_flips():
    labels = noisy_labels(torch.zeros(20_000), 1.0, 0.0, 0.1, Noise(0, 20_000))
    assert labels.mean().item() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("kind", LABELLED)
@pytest.mark.parametrize("value", [-0.1, 0.5, 1.0, math.nan])
def test_refuses_label_noise(kind, value):
    with pytest.raises(ConfigError, match=rf"{kind.__name__}: label_noise must be in \[0, 0\.5\)"):
        kind(label_noise=value)


@pytest.mark.parametrize("kind", CLASSIFYING)
@pytest.mark.parametrize("value", [0.5, 0.0, 1.1, math.nan])
def test_refuses_real_label(kind, value):
    with pytest.raises(ConfigError, match=rf"{kind.__name__}: real_label must be in"):
        kind(real_label=value)


@pytest.mark.parametrize("kind", [HingeLoss, WassersteinLoss, RelativisticLoss])
def test_losses_without_labels_take_no_arguments(kind):
    """Their signature says so, so that the check of a config can refuse ``loss.real_label``."""
    assert not inspect.signature(kind).parameters
