from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.regularizers.drift import Drift
from ganforge.streams import Noise
from tests.regularizers.turns import context


def test_the_mean_square_of_real_logits():
    """(1 + 9 + 4) / 3, whatever is thought of fakes; its gradient is 2 D / B."""
    real = torch.tensor([1.0, -3.0, 2.0], requires_grad=True)
    fake = torch.tensor([50.0, 60.0, 70.0])
    term = Drift().term(context(Noise(0, 3), real_logits=real, fake_logits=fake))
    assert term.item() == pytest.approx(14 / 3)
    term.backward()
    torch.testing.assert_close(real.grad, torch.tensor([2.0, -6.0, 4.0]) / 3)


def test_the_papers_weight_on_the_critic():
    assert (Drift().weight, Drift().player) == (0.001, "discriminator")


def test_without_real_logits_there_is_no_term():
    assert Drift().term(context(Noise(0, 3))) is None


def test_refuses_negative_weights():
    with pytest.raises(ConfigError, match="Drift: weight must be at least 0"):
        Drift(-1.0)
