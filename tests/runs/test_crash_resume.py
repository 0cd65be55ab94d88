"""A small version of benchmarks/crash_resume.py: kills at random moments, an exact end."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.short_runs import PLAIN, SEVEN, go, runs, summary

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "crash_resume.py"
QUICK = [
    *PLAIN,
    "callbacks.checkpoints.every_n_steps=2",
    "callbacks.checkpoints.background=true",
]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("crash_resume", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["crash_resume"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_bit_equal(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "COMMAND", QUICK)
    monkeypatch.setattr(bench, "LONGEST", 0.05)
    whole, fire = tmp_path / "whole", tmp_path / "fire"
    whole.mkdir()
    fire.mkdir()
    assert bench.Training([*QUICK, "trainer.max_steps=60"], whole).wait() == 0
    told, found = bench.survive(2, 60, seed=1, root=fire)
    assert [kill.where for kill in told] == ["training", "writing"]
    assert all(kill.files > 5 for kill in told)
    expected = bench.result(bench.run_of(whole))
    assert expected["step"] == 60
    assert found == expected


def test_a_run_that_saves_in_the_background_ends_the_same(bench, whole, tmp_path):
    options = ["callbacks.checkpoints.background=true", "callbacks.checkpoints.every_images=1"]
    go(*SEVEN, *options, f"log_dir={tmp_path}")
    (run,) = runs(tmp_path)
    assert summary(run)["status"] == "completed"
    ours, expected = (bench.load(path / "checkpoints" / "last.ckpt") for path in (run, whole))
    for key in ("state_dict", "optimizer_states", "progress", "resolved"):
        assert bench.plain(ours[key]) == bench.plain(expected[key])
    assert bench.load(run / "checkpoints" / "previous.ckpt")["progress"]["iteration"] == 6
    assert not [path for path in run.rglob("*") if ".tmp." in path.name]


def test_a_difference_of_one_bit_is_seen(bench, tmp_path):
    import torch

    ours = {"w": torch.zeros(3), "seconds": 1.0}
    theirs = {"w": torch.tensor([0.0, 0.0, -0.0]), "seconds": 2.0}
    assert torch.equal(ours["w"], theirs["w"])
    assert bench.plain(ours) != bench.plain(theirs)
    assert bench.plain(ours) == bench.plain({"w": torch.zeros(3), "seconds": 3.0})


@pytest.mark.parametrize("name", ["last.ckpt", "summary.json", "grid.png"])
def test_a_torn_file_is_noticed(bench, tmp_path, name):
    (tmp_path / name).write_bytes(b"{torn")
    with pytest.raises(Exception, match=r".+"):
        bench.read_all(tmp_path)
