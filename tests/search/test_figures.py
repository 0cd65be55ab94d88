from __future__ import annotations

import pytest

from ganforge.search.report import best_so_far, draw, importances
from tests.search.searches import join

pytest.importorskip("optuna")
pytest.importorskip("matplotlib")


def test_the_best_so_far():
    assert best_so_far([3.0, 4.0, 1.0, 2.0], "minimize") == [3.0, 3.0, 1.0, 1.0]
    assert best_so_far([3.0, 4.0, 1.0], "maximize") == [3.0, 4.0, 4.0]


def test_what_decides_is_the_most_important_and_pictures_are_drawn(tmp_path):
    study = join(tmp_path / "study.log", n_trials=16)
    assert draw(study.study, ["fid"], tmp_path) == []  # nothing to show yet
    while trial := study.ask():
        study.complete(trial, [10 * trial.params["x"] ** 2])
    shares = importances(study.study, 0)
    assert next(iter(shares)) == "x"
    assert shares["x"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    names = [path.name for path in draw(study.study, ["fid"], tmp_path)]
    assert names == ["study_history.png", "study_importance.png"]


def test_equal_values_tell_of_no_importance(tmp_path):
    study = join(tmp_path / "study.log", n_trials=5)
    while trial := study.ask():
        study.complete(trial, [1.0])
    assert [path.name for path in draw(study.study, ["fid"], tmp_path)] == ["study_history.png"]
