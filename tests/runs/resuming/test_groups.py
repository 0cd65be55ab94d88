from __future__ import annotations

import json

import pytest
from omegaconf import OmegaConf

from ganforge.config.command import Command, write_choices
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError
from ganforge.runs.folder import RunFolder
from ganforge.runs.resuming.groups import exchange

STARTED = ["trainer=ddp_cpu", "callbacks.samples.count=8"]
SESSIONS = [STARTED, ["resume=R", "trainer.devices=1", "trainer.max_steps=7"]]


@pytest.fixture(scope="module")
def composed():
    return compose_config([*STARTED, *SESSIONS[1][1:]])


@pytest.fixture
def resume(composed, tmp_path):
    """Resumes a run, started and changed as above, with typed groups; returns its configuration."""
    write_choices(tmp_path, {"trainer": "ddp_cpu", "callbacks": "default", "features": "auto"})
    sessions = [{"overrides": overrides} for overrides in SESSIONS]
    (tmp_path / "provenance.json").write_text(json.dumps(sessions))

    def resume(*typed: str):
        own = OmegaConf.create(OmegaConf.to_container(composed))
        cfg = compose_config(list(typed))
        groups = dict(override.split("=") for override in typed if "." not in override)
        exchange(own, cfg, Command(groups=groups), RunFolder(tmp_path))
        return own

    return resume


def test_an_option_typed_now_replaces_a_key_of_an_earlier_resume(resume):
    own = resume("trainer=ddp_cpu")
    assert (own.trainer.devices, own.trainer.strategy) == (2, "ddp")
    assert own.trainer.max_steps == 7  # of the run, and not of its hardware
    assert own.callbacks.samples.count == 8  # of a group that was not typed
    assert resume("trainer=cpu").trainer.devices == 1
    assert resume("trainer=cpu").trainer.strategy == "auto"


def test_an_option_typed_now_replaces_a_key_of_the_start(resume):
    own = resume("callbacks=default")
    assert own.callbacks.samples.count != 8
    assert own.trainer.devices == 1


def test_an_option_that_the_run_has_keeps_what_no_command_changed(resume, composed):
    composed.features = {"_target_": "ganforge.metrics.features.Auto", "own": 1}
    assert resume("features=auto").features.own == 1
    assert "own" not in resume("features=inception").features


def test_an_option_that_defines_the_run_is_kept(resume):
    with pytest.raises(ConfigError, match=r"loss=hinge: the run .* a resumed run keeps it"):
        resume("loss=hinge")


def test_the_same_hardware_typed_again_changes_nothing(tmp_path, composed):
    write_choices(tmp_path, {"trainer": "auto"})
    (tmp_path / "provenance.json").write_text(json.dumps([{"overrides": ["trainer=auto"]}]))
    own = OmegaConf.create(OmegaConf.to_container(composed))
    own.trainer.strategy = "ddp"  # what a run of an earlier version keeps
    command = Command(groups={"trainer": "auto"})
    exchange(own, compose_config(["trainer=auto"]), command, RunFolder(tmp_path))
    assert own.trainer.strategy == "ddp"
