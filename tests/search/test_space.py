from __future__ import annotations

import pytest

from ganforge.errors import ConfigError
from ganforge.search.samplers import CMAES, TPE, Grid, Random
from ganforge.search.space import Choice, Real, Whole, text_of

optuna = pytest.importorskip("optuna")

SPACE = {"a": Whole(1, 3), "b": Choice(("x", "y")), "c": Real(0.0, 0.3, 0.1)}


def suggested(factory, space, trials):
    """The values of trials in a study of their own, a sampler for each as a search makes them."""
    study = optuna.create_study()
    found = []
    for number in range(trials):
        study.sampler = factory.build(space, number)
        trial = study.ask({key: one.distribution() for key, one in space.items()})
        found.append(trial.params)
        study.tell(trial, sum(value for value in trial.params.values() if value not in ("x", "y")))
    return found


def test_values_that_can_be_counted():
    assert Whole(2, 8, 3).values() == [2, 5, 8]
    assert Real(0.0, 0.3, 0.1).values() == [0.0, 0.1, 0.2, 0.3]  # not 0.30000000000000004
    assert Real(0.0, 0.3).values() is None
    assert Choice(("a", "b")).values() == ["a", "b"]


def test_a_value_is_typed_as_it_is():
    value = 1.2345678901234567e-05
    assert float(text_of(Real(1e-5, 1e-2, log=True), value)) == value
    assert text_of(Real(0.0, 0.3, 0.1), 3 * 0.1) == "0.3"
    assert text_of(Whole(1, 5), 3) == "3"
    assert text_of(Choice(("[r1]", "[]")), "[r1]") == "[r1]"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Real(1.0, 1.0), "lower limit must be below"),
        (lambda: Real(0.0, 1.0, log=True), "above 0"),
        (lambda: Whole(1, 9, 2, log=True), "steps of 1"),
        (lambda: Choice(("a", "a")), "choices must be different"),
    ],
)
def test_a_dimension_refuses_what_is_none(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("factory", [Random(), TPE(startup_trials=2), Grid()])
def test_a_sampler_is_a_function_of_its_seed_and_the_trial(factory):
    first, again = (suggested(factory, SPACE, 6) for _ in range(2))
    assert first == again
    assert len({str(params) for params in first}) > 3


def test_another_seed_draws_other_values():
    assert suggested(Random(0), SPACE, 4) != suggested(Random(1), SPACE, 4)


def test_a_grid_tries_everything_once():
    found = suggested(Grid(), SPACE, 24)
    assert Grid().trials(SPACE) == 24
    assert len({str(sorted(params.items())) for params in found}) == 24


def test_covariance_matrix_adaptation_comes_closer():
    pytest.importorskip("cmaes")
    space = {"x": Real(-5.0, 5.0), "y": Real(-5.0, 5.0)}
    study = optuna.create_study()
    for number in range(40):
        study.sampler = CMAES().build(space, number)
        trial = study.ask({key: one.distribution() for key, one in space.items()})
        study.tell(trial, (trial.params["x"] - 1) ** 2 + (trial.params["y"] + 2) ** 2)
    assert study.best_value < 1.0
    assert study.best_params["x"] == pytest.approx(1, abs=1.0)


@pytest.mark.parametrize(
    ("factory", "space", "message"),
    [
        (Grid(), {"lr": Real(0.1, 1.0)}, "lr is continuous.*choice"),
        (CMAES(), SPACE, "b are choices.*sampler=tpe"),
        (CMAES(), {"lr": Real(0.1, 1.0)}, "there are 1"),
    ],
)
def test_a_sampler_refuses_a_space_it_cannot_search(factory, space, message):
    with pytest.raises(ConfigError, match=message):
        factory.check(space)
