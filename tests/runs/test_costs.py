from __future__ import annotations

import time

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from ganforge.config.requests import EvaluateRequest
from ganforge.errors import ConfigError
from ganforge.runs.costs import check_costs, check_evaluation_costs
from ganforge.sweeps.plan import plan_grid

DATA = {"workers": 2, "image_size": 64, "channels": 3, "batch_size": 64}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"data.workers": 100_000}, "for each processor"),
        ({"callbacks.samples.count": 99_999_999}, "picture"),
        ({"data.batch_size": 10_000_000}, "batch alone takes"),
        ({"data.image_size": 1_000_000}, "at most"),
    ],
)
def test_what_no_machine_could_do_is_refused(changes, fault):
    cfg = OmegaConf.create({"data": DATA, "callbacks": {"samples": {"count": 64}}})
    check_costs(cfg)
    for key, value in changes.items():
        OmegaConf.update(cfg, key, value)
    with pytest.raises(ConfigError, match=fault):
        check_costs(cfg)


@pytest.mark.parametrize("key", ["n", "n_real", "bootstrap"])
def test_evaluations_are_bounded(key):
    check_evaluation_costs(OmegaConf.create({"n": 50_000, "n_real": None, "bootstrap": 1000}))
    with pytest.raises(ConfigError, match=f"{key}=999,999,999,999"):
        check_evaluation_costs(EvaluateRequest(**{key: 999_999_999_999}))


@pytest.mark.parametrize(
    "typed",
    [
        ["seed=range(1000000000)"],
        ["seed=shuffle(range(1000000000))"],
        ["seed=range(200)", "data.seed=range(200)"],
    ],
)
def test_sweeps_are_counted_before_they_are_expanded(typed, monkeypatch):
    began = time.monotonic()
    with pytest.raises(ConfigError, match="GANFORGE_MAX_JOBS=N"):
        plan_grid(typed, OverridesParser.create())
    assert time.monotonic() - began < 5
    monkeypatch.setenv("GANFORGE_MAX_JOBS", "3")
    assert len(plan_grid(["seed=range(3)"], OverridesParser.create())) == 3
    with pytest.raises(ConfigError, match="the limit is 3"):
        plan_grid(["seed=1,2,3,4"], OverridesParser.create())
