from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganforge.errors import ConfigError
from ganforge.sweeps.plan import Plan, plan_grid, split_resume


def plan(*typed: str) -> list[Plan]:
    return plan_grid(list(typed), OverridesParser.create())


def split(*typed: str) -> tuple[list[str], str | None]:
    return split_resume(list(typed), OverridesParser.create())


def test_a_grid_is_every_combination_and_the_last_key_changes_first():
    plans = plan("data=fake", "model=gan,wgan", "~callbacks.samples", "seed=range(1,3)")
    assert [p.swept for p in plans] == [
        ("model=gan", "seed=1"),
        ("model=gan", "seed=2"),
        ("model=wgan", "seed=1"),
        ("model=wgan", "seed=2"),
    ]
    assert plans[2].overrides == ("data=fake", "model=wgan", "~callbacks.samples", "seed=1")


def test_without_several_values_there_is_one_job():
    assert plan("seed=1") == [Plan(("seed=1",), ())]
    assert plan() == [Plan((), ())]


def test_lists_and_quotes_are_single_values():
    plans = plan("metrics=[fid],[fid,kid]", "notes='a,b'")
    assert [p.swept for p in plans] == [("metrics=[fid]",), ("metrics=[fid,kid]",)]
    assert plans[0].overrides[1] == "notes='a,b'"


def test_of_a_key_that_is_named_twice_the_last_counts():
    assert [p.overrides for p in plan("seed=1,2", "seed=3")] == [("seed=3",)]
    assert [p.swept for p in plan("seed=3", "seed=1,2")] == [("seed=1",), ("seed=2",)]


def test_jobs_that_are_the_same_are_refused():
    with pytest.raises(ConfigError, match="jobs 0 and 2 of the sweep are the same: seed=1"):
        plan("seed=1,2,1")


def test_an_interval_is_no_grid():
    with pytest.raises(ConfigError, match=r"interval\(0,1\): .* discrete values, .* range\(1,4\)"):
        plan("optimizer.generator.lr=interval(0,1)")


def test_how_a_sweep_is_started_is_none_of_what_it_is():
    assert split("seed=1,2", "resume=auto") == (["seed=1,2"], "auto")
    assert split("seed=1,2", "resume=null") == (["seed=1,2"], None)
    assert split("resume='logs/multirun/a b'") == ([], "logs/multirun/a b")


def test_what_only_a_run_takes_is_refused():
    with pytest.raises(ConfigError, match="run_dir is set by a sweep for its jobs"):
        split("run_dir=here")
    with pytest.raises(ConfigError, match="legal with -m: auto, latest"):
        split("resume=a,b")
