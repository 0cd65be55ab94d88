from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest

from ganforge.errors import ConfigError, RunError
from ganforge.search.pruners import ASHA, Median
from ganforge.search.samplers import Grid
from ganforge.search.storage import Storage
from ganforge.search.study import REPEATS, counted, open_study
from tests.search.searches import SPACE, join, make_search

optuna = pytest.importorskip("optuna")


def states(study) -> list[str]:
    return [trial.state.name for trial in study.study.get_trials(deepcopy=False)]


def test_trials_are_handed_out_until_their_number_is_reached(tmp_path):
    study = join(tmp_path / "study.log", n_trials=3)
    while trial := study.ask():
        study.complete(trial, [trial.params["x"] ** 2])
    assert states(study) == ["COMPLETE"] * 3
    again = join(tmp_path / "study.log", n_trials=5)
    assert again.ask().number == 3
    assert again.ask().number == 4
    assert again.ask() is None


def test_failed_and_pruned_trials_count(tmp_path):
    study = join(tmp_path / "study.log", n_trials=3)
    study.stop(study.ask(), "failed", "no memory")
    study.stop(study.ask(), "pruned", "diverged")
    study.complete(study.ask(), [1.0])
    assert study.ask() is None
    assert states(study) == ["FAIL", "PRUNED", "COMPLETE"]
    errors = [trial.user_attrs.get("error") for trial in study.study.trials]
    assert errors == ["no memory", "diverged", None]
    assert study.best().number == 2


def test_an_interrupted_trial_is_repeated_with_its_values(tmp_path):
    study = join(tmp_path / "study.log", n_trials=2)
    first, second = study.ask(), study.ask()
    study.abandon(first, "interrupted")
    study.complete(second, [2.0])
    third = study.ask()
    assert third.params == first.params
    assert third.user_attrs[REPEATS] == 0
    study.complete(third, [1.0])
    assert study.ask() is None
    assert len(counted(study.study.trials)) == 2


def test_a_killed_workers_trial_goes_to_another_worker(tmp_path):
    one = join(tmp_path / "study.log", owner="one", n_trials=2)
    lost = one.ask()
    two = join(tmp_path / "study.log", owner="two", alive={"two"}, n_trials=2)
    assert two.others_running() == 1
    found = two.ask()
    assert found.params == lost.params
    assert states(two) == ["FAIL", "RUNNING"]
    # The one taken for dead comes back: its trial is over, and it does no harm.
    one.complete(lost, [7.0])
    one.stop(lost, "failed", "late")
    assert states(two) == ["FAIL", "RUNNING"]


def test_a_living_workers_trial_is_left_to_it(tmp_path):
    one = join(tmp_path / "study.log", owner="one", n_trials=1)
    one.ask()
    two = join(tmp_path / "study.log", owner="two", n_trials=1)
    assert two.ask() is None
    assert two.others_running() == 1


def test_a_worker_takes_back_what_it_had_begun_before_it_was_killed(tmp_path):
    join(tmp_path / "study.log", n_trials=2).ask()
    again = join(tmp_path / "study.log", n_trials=2)
    again.take_back()
    assert again.ask().user_attrs[REPEATS] == 0


def test_a_grid_ends_with_its_last_combination(tmp_path):
    study = join(tmp_path / "study.log", {"n": SPACE["n"]}, n_trials=50, sampler=Grid())
    found = []
    while trial := study.ask():
        found.append(trial.params["n"])
        study.complete(trial, [0.0])
    assert sorted(found) == [1, 2, 3, 4]


def test_another_search_is_refused_in_a_study(tmp_path):
    join(tmp_path / "study.log")
    with pytest.raises(ConfigError, match=r"belongs to another search:\n  objectives: .*fid.*kid"):
        join(tmp_path / "study.log", objectives={"kid": "minimize"})
    with pytest.raises(ConfigError, match="other directions"):
        join(tmp_path / "study.log", objectives={"fid": "maximize"})


def test_several_objectives_have_a_front(tmp_path):
    study = join(tmp_path / "s.log", n_trials=3, objectives={"fid": "minimize", "is": "maximize"})
    for values in ([1.0, 1.0], [2.0, 3.0], [3.0, 2.0]):
        study.complete(study.ask(), values)
    assert [trial.values for trial in study.best_trials()] == [[1.0, 1.0], [2.0, 3.0]]


def test_a_pruned_trial_of_several_objectives(tmp_path):
    study = join(tmp_path / "s.log", n_trials=1, objectives={"fid": "minimize", "is": "maximize"})
    study.stop(study.ask(), "pruned", "diverged")
    assert states(study) == ["PRUNED"]
    assert study.best() is None


@pytest.mark.parametrize("pruner", [ASHA(min_steps=10), Median(0, 0)])
def test_a_pruner_decides_in_a_trial_that_is_opened_elsewhere(tmp_path, pruner):
    """A pruner is not kept in a study: without it, nothing would ever be given up."""
    study = join(tmp_path / "study.log", n_trials=9, pruner=pruner)
    for value in (1.0, 1.1, 1.2, 1.3):
        trial = study.ask()
        trial.report(value, 10)
        assert not (trial.should_prune() and value == 1.0)
        study.complete(trial, [value])
    bad = study.ask()
    search = make_search(pruner=pruner)
    opened = open_study(search, Storage(str(tmp_path / "study.log")), "s")
    elsewhere = optuna.trial.Trial(opened, bad._trial_id)
    elsewhere.report(50.0, 10)
    assert elsewhere.should_prune()


def test_a_study_that_is_not_there(tmp_path):
    with pytest.raises(RunError, match="no study 'other' in"):
        open_study(make_search(), Storage(str(tmp_path / "study.log")), "other")


# ---------------------------------------------------------------------- several at once


def work(path: Path, owner: str) -> None:
    study = join(path, owner=owner, n_trials=24)
    while trial := study.ask():
        study.complete(trial, [trial.params["x"]])


def test_workers_that_ask_at_once_run_no_trial_twice_and_none_too_many(tmp_path):
    path = tmp_path / "study.log"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(path, owner)) for owner in ("one", "two")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    trials = join(path, n_trials=24).study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 24
    assert set(Counter(str(trial.params) for trial in trials).values()) == {1}


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trials": 0}, "tune.n_trials must be at least 1"),
        ({"value": "first"}, "tune.value must be one of best, final"),
        ({"collapse": 1.0}, "tune.collapse must be at least 0 and below 1"),
        ({"storage": "mysql://host/db"}, "must be a file's path, or postgresql://"),
        ({"storage": "postgresql://host/db"}, "tune.study=NAME is needed"),
        ({"objectives": {"fid": "minimize", "seconds": "minimize"}, "pruner": ASHA()}, "pruner="),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        make_search(**settings)


def test_a_server_that_does_not_answer_is_named_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(RunError) as refusal:
        Storage("postgresql://ann:secret@127.0.0.1:1/db")
    assert "postgresql://ann@127.0.0.1:1/db: cannot be reached" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"needs optuna, .* uv sync --extra tune"):
        Storage("study.log")
