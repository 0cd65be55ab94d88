"""conf/wandb_sweeps/: the command that `wandb agent` runs must train."""

from __future__ import annotations

import copy

import pytest
import yaml
from omegaconf import OmegaConf

from ganforge.config.check import check
from ganforge.config.compose import compose_config
from ganforge.paths import conf_dir

FILES = sorted((conf_dir() / "wandb_sweeps").glob("*.yaml"))
PREFIX = ["/usr/bin/env", "uv", "run", "--no-sync", "python", "train.py"]


def read(path) -> dict:
    return yaml.safe_load(path.read_text())


def values(parameter: dict) -> list:
    """Values of a parameter that the server might choose."""
    if "value" in parameter:
        return [parameter["value"]]
    if "values" in parameter:
        return parameter["values"]
    assert parameter["distribution"] == "log_uniform_values"
    assert 0 < parameter["min"] < parameter["max"]
    return [parameter["min"], 5.123456789e-05, parameter["max"]]


def expanded(sweep: dict, chosen: dict) -> list[str]:
    """Returns the command of an agent, with every macro expanded to its items."""
    from wandb.sdk.launch.sweeps import utils  # takes seconds, at every start of the tests

    arguments = {"args": {name: {"value": v} for name, v in chosen.items()}}
    told = utils.create_sweep_command_args(arguments)
    told |= {"env": ["/usr/bin/env"], "program": [sweep["program"]], "interpreter": ["python"]}
    command = []
    for item in utils.create_sweep_command(copy.copy(sweep["command"])):
        macro = item.startswith("${") and item.endswith("}")
        command += told[item[2:-1]] if macro else [item]
    return command


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_an_agent_runs_composes_and_means_what_the_sweep_says(path):
    sweep = read(path)
    legal = {name: values(parameter) for name, parameter in sweep["parameters"].items()}
    for number in range(max(map(len, legal.values()))):  # every value occurs
        chosen = {name: choices[number % len(choices)] for name, choices in legal.items()}
        command = expanded(sweep, chosen)
        assert command[: len(PREFIX)] == PREFIX
        cfg = compose_config(command[len(PREFIX) :])
        check(cfg)
        for name in (name for name in chosen if "." in name):
            assert OmegaConf.select(cfg, name) == chosen[name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sweep_looks_at_a_score_that_its_runs_publish(path):
    sweep = read(path)
    assert sweep["method"] in ("grid", "random", "bayes")
    assert sweep["metric"] == {"name": "fid_classifier", "goal": "minimize"}
    data = sweep["parameters"]["data"]["value"]
    cfg = compose_config([f"data={data}", f"model={sweep['parameters']['model']['value']}"])
    assert "fid" in cfg.metrics
    assert data == "digits"  # features=auto selects the classifier


def test_there_is_a_grid_and_a_search_that_ends_hopeless_runs():
    methods = {path.stem: read(path)["method"] for path in FILES}
    assert methods == {"grid": "grid", "bayes": "bayes"}
    assert read(FILES[0])["early_terminate"] == {"type": "hyperband", "min_iter": 3}
