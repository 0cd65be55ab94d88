from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.regularizers.r1 import R1
from ganforge.regularizers.r2 import R2
from ganforge.streams import Noise
from tests.regularizers.critics import SHAPES, LinearCritic, batch, quadratic

both = pytest.mark.parametrize("kind", [R1, R2])


@both
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_critic(kind, shape):
    """|w|^2 / 2, with derivative w."""
    critic = LinearCritic(shape)
    penalty = kind().penalty(critic, batch(shape, 0), batch(shape, 1), Noise(0, 6))
    torch.testing.assert_close(penalty, critic.w.square().sum() / 2)
    torch.testing.assert_close(torch.autograd.grad(penalty, critic.w)[0], critic.w.detach())


@pytest.mark.parametrize(("kind", "chosen"), [(R1, 0), (R2, 1)])
def test_where_the_gradient_is_taken(kind, chosen):
    """For f = |x|^2 / 2 the penalty is E|x|^2 / 2 of the images looked at."""
    images = [batch((3, 4, 4), 0), 2 * batch((3, 4, 4), 1)]
    penalty = kind().penalty(quadratic, *images, Noise(0, 6))
    expected = images[chosen].flatten(1).square().sum(1).mean() / 2
    torch.testing.assert_close(penalty, expected)


@both
def test_lazy_updates(kind):
    lazy = kind(every=4)
    assert [update for update in range(9) if lazy.due(update)] == [0, 4, 8]


@both
def test_refusals(kind):
    with pytest.raises(ConfigError, match="weight"):
        kind(weight=-1.0)
    with pytest.raises(ConfigError, match="every"):
        kind(every=0)
