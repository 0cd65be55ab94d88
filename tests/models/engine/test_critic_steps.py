from __future__ import annotations

import pytest

from ganforge.errors import ConfigError
from ganforge.models.engine.optimizers import BoostedCriticSteps
from tests.support import games


def test_the_first_steps_and_every_period_are_boosted():
    """The authors' code: 100 in the first 25 updates of G and at each 500th, else 5."""
    steps = BoostedCriticSteps()
    boosted = [i for i in range(1600) if steps(i) == 100]
    assert boosted == [*range(25), 500, 1000, 1500]
    assert {steps(i) for i in range(1600)} == {5, 100}


def test_a_step_uses_images_for_all_critic_steps(tmp_path):
    model = games.game(critic_steps=BoostedCriticSteps(steps=1, boosted=3, first=1, period=4))
    games.fit(model, tmp_path)
    assert model.images_seen == (3 + 1 + 1 + 1 + 3 + 1) * games.BATCH


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"boosted": 0}, "boosted must be at least 1"),
        ({"period": 0}, "period must be at least 1"),
        ({"first": -1}, "first must be at least 0"),
    ],
)
def test_wrong_values_are_refused(wrong, named):
    with pytest.raises(ConfigError, match=named):
        BoostedCriticSteps(**wrong)
