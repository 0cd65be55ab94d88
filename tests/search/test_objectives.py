from __future__ import annotations

import pytest

from ganforge.errors import ConfigError
from ganforge.search.objectives import ObjectiveError, check_directions, names, value_of

SUMMARY = {
    "run": "a",
    "seed": 3,
    "step": 30,
    "seconds": 12.5,
    "images_per_second": None,
    "metrics": {"fid_small": {"value": 4.0}, "is_small": {"value": 2.0}},
    "history": [
        {"step": 0, "images_seen": 0, "fid_small": 1.0, "is_small": 9.0},
        {"step": 10, "images_seen": 40, "fid_small": 3.0, "is_small": 1.5},
        {"step": 20, "images_seen": 80, "fid_small": None, "is_small": 2.5},
        {"step": 30, "images_seen": 120, "fid_small": 4.0, "is_small": 2.0},
    ],
}


@pytest.mark.parametrize(
    ("name", "direction", "best", "value"),
    [
        ("fid_small", "minimize", True, 3.0),  # the untrained generator does not count
        ("fid_small", "maximize", True, 4.0),
        ("fid", "minimize", False, 4.0),
        ("is", "maximize", True, 2.5),
        ("seconds", "minimize", True, 12.5),
        ("step", "maximize", False, 30.0),
        ("images_per_second", "maximize", False, None),
    ],
)
def test_the_value_of_an_objective(name, direction, best, value):
    assert value_of(SUMMARY, name, direction, best) == value


def test_a_score_that_was_never_finite_has_no_value():
    history = [{"step": 10, "fid_small": None}]
    summary = {"metrics": {"fid_small": {"value": None}}, "history": history}
    assert value_of(summary, "fid", "minimize", best=True) is None
    assert value_of(summary, "fid", "minimize", best=False) is None


def test_an_objective_that_is_not_there():
    with pytest.raises(ObjectiveError, match=r"did you mean 'seconds'.*fid_small, is_small, step"):
        value_of(SUMMARY, "second", "minimize", best=True)
    assert names(SUMMARY) == ["fid_small", "is_small", "step", "seconds"]


def test_objectives_have_directions():
    check_directions({"fid": "minimize", "is": "maximize"})
    with pytest.raises(ConfigError, match="fid must be one of minimize, maximize, got 'down'"):
        check_directions({"fid": "down"})
    with pytest.raises(ConfigError, match="is empty"):
        check_directions({})
