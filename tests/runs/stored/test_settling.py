from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from ganforge.errors import ConfigError, RunError
from ganforge.runs.resuming.identity import different_keys
from ganforge.runs.stored.settling import keep_resolved, outside, resolved_override, settle

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True}
DATA = {"_target_": "ganforge.data.Digits", "seed": "${seed}"}


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    values = {"SEED": "3", "RATE": "1e-3", "WHERE": "imgs", "BETAS": "[0.1,0.2]", "N": "007x"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"a": "${oc.env:SEED}"}, "3"),
        ({"a": "${oc.decode:${oc.env:SEED}}"}, 3),
        ({"a": ["${oc.env:SEED}", 1]}, ["3", 1]),
        ({"a": "${oc.env:WHERE}/${node.b}", "b": 1}, "imgs/1"),
        ({"_target_": "ganforge.schedules.Constant", "warmup": "${oc.env:SEED}"}, 3),
        ({"_target_": "ganforge.schedules.Constant", "warmup": "${oc.env:N}"}, "007x"),
    ],
)
def test_values_from_outside_are_fixed_and_typed(node, value):
    cfg = OmegaConf.create({"node": node, "copy": "${node}"})
    replaced = settle(cfg)
    key = "warmup" if "warmup" in node else "a"
    found = OmegaConf.to_container(cfg, resolve=False)
    assert found["node"][key] == value
    assert found["copy"] == "${node}"
    assert list(replaced) == [f"node.{key}"]
    assert outside(cfg) == []


def test_a_schema_types_what_follows_too():
    from ganforge.config.compose import compose_config

    cfg = compose_config(["seed=${oc.env:SEED}", "data.batch_size=${oc.env:SEED}"])
    settle(cfg)
    assert (cfg.seed, cfg.data.seed, cfg.model.seed, cfg.data.batch_size) == (3, 3, 3, 3)


def test_a_variable_that_is_not_set_is_named_with_its_key():
    with pytest.raises(ConfigError, match=r"^seed=\$\{oc.env:NONE\}: has no value: .*'NONE'"):
        settle(OmegaConf.create({"seed": "${oc.env:NONE}"}))


def test_a_stored_value_counts_for_more_than_the_variable(monkeypatch):
    own = OmegaConf.create({"seed": "${oc.env:SEED}", "data": {"seed": "${seed}"}})
    monkeypatch.setenv("SEED", "4")
    keep_resolved(own, OmegaConf.create({"seed": 3, "data": {"seed": 3}}))
    assert OmegaConf.to_container(own) == {"seed": 3, "data": {"seed": "${seed}"}}


def test_a_stored_expression_without_a_value_is_refused():
    with pytest.raises(RunError, match=r"no value for seed="):
        keep_resolved(OmegaConf.create({"seed": "${oc.env:SEED}"}), OmegaConf.create({}))


RUN = {"name": "a", "seed": 1, "data": DATA, "trainer": {"max_steps": 9}, "total": 9}


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({"seed": 2}, ["seed"]),  # what follows from it is not named beside it
        ({"total": "${trainer.max_steps}"}, []),
        ({"tags": ["x"], "resume_allow": ["data"], "log_dir": "there"}, []),
        ({"data": {**DATA, "mirror": False}}, []),  # its default, of a newer version
        ({"data": {**DATA, "mirror": True}}, ["data.mirror"]),
        ({"regularizer": {}}, []),
        ({"regularizer": {"r1": {"weight": 1}}}, ["regularizer.r1.weight"]),
    ],
)
def test_runs_differ_where_their_values_do(change, keys):
    assert different_keys(OmegaConf.create(RUN), OmegaConf.create(RUN | change)) == keys


@pytest.mark.parametrize(
    ("override", "fixed"),
    [
        ("seed=${oc.env:SEED}", "seed=3"),
        ("seed=${oc.decode:${oc.env:SEED}}", "seed=3"),
        ("data.path='${oc.env:WHERE}/x (1)'", "data.path='imgs/x (1)'"),
        ("seed=${oc.env:SEED},4", "seed=${oc.env:SEED},4"),
        ("notes=${now:%H}", "notes=${now:%H}"),
        ("data.seed=${seed}", "data.seed=${seed}"),
        ("seed=${oc.env:NONE}", "seed=${oc.env:NONE}"),
        ("seed=1,2", "seed=1,2"),
    ],
)
def test_a_sweep_is_of_the_values_of_variables(override, fixed):
    assert resolved_override(override) == fixed
