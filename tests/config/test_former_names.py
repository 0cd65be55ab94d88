"""Stored runs keep their names; what they build has present ones."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from ganforge.config import former_names
from ganforge.config.check import check
from ganforge.config.former_names import present_names, present_override
from ganforge.errors import ConfigError
from ganforge.runs.stored.yaml_files import read_config, read_yaml
from ganforge.runs.sweep_record import SweepRecord

FORMER, NOW = "ganforge.losses.hinge.HingeLoss", "ganforge.losses.HingeLoss"


def test_targets_at_any_depth_get_present_names():
    stored = {
        "loss": {"_target_": FORMER, "note": FORMER},
        "parts": [{"_target_": FORMER}, 1, None],
        "network": {"_target_": "my_package.hinge.HingeLoss"},
    }
    assert present_names(stored) == {
        "loss": {"_target_": NOW, "note": FORMER},
        "parts": [{"_target_": NOW}, 1, None],
        "network": {"_target_": "my_package.hinge.HingeLoss"},
    }


@pytest.mark.parametrize(
    ("stored", "present"),
    [
        (f"loss._target_={FORMER}", f"loss._target_={NOW}"),
        (f"+callbacks.x._target_='{FORMER}'", f"+callbacks.x._target_='{NOW}'"),
        (f"loss._target_={FORMER},my.Loss", f"loss._target_={NOW},my.Loss"),
        (f"notes={FORMER}", f"notes={FORMER}"),
        ("seed=1", "seed=1"),
    ],
)
def test_overrides_of_stored_sweeps_get_present_names(stored, present):
    assert present_override(stored) == present


def test_files_of_a_run_are_read_with_present_names(tmp_path):
    path = tmp_path / "composed.yaml"
    path.write_text(f"seed: 1\nloss:\n  _target_: {FORMER}\n  weight: ${{seed}}\n  shift: ???\n")
    assert read_yaml(path)["loss"] == {"_target_": NOW, "weight": "${seed}", "shift": "???"}
    found = read_config(path)
    assert found.loss._target_ == NOW
    assert found.loss.weight == 1
    assert OmegaConf.is_missing(found.loss, "shift")


def test_a_sweep_is_read_with_present_names(tmp_path):
    record = SweepRecord(tmp_path, "grid", "x", [f"loss._target_={FORMER}"], "2026-11-30T00:00:00")
    record.write()
    assert SweepRecord.read(tmp_path).overrides == [f"loss._target_={NOW}"]


def test_a_former_name_that_is_typed_is_refused_with_the_present_one(monkeypatch):
    gone = "ganforge.losses.gone.HingeLoss"
    monkeypatch.setitem(former_names.FORMER, gone, NOW)
    with pytest.raises(ConfigError, match=rf"{gone} has been renamed to {NOW}"):
        check(OmegaConf.create({"loss": {"_target_": gone}}))
