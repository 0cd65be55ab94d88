"""Whole runs on shards, resumed in the middle of one."""

import pytest

from tests.data.shards.tars import write_shards
from tests.support.same_runs import assert_same, checkpoint
from tests.support.short_runs import PLAIN, go, runs

SHARDS = [o for o in PLAIN if not o.startswith(("data=", "data.max_images", "trainer.max_steps"))]
SHARDS += ["data=webdataset", "data.channels=3", "data.in_memory=false", "data.shuffle=15"]
SHARDS += ["data.holdout=0", "model=dcgan"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_resumes_in_the_middle_of_a_shard(tmp_path, monkeypatch, workers):
    monkeypatch.chdir(tmp_path)
    write_shards(tmp_path / "shards", [10, 7, 13, 10])
    typed = [*SHARDS, "data.urls=[shards/train-*.tar]", f"data.workers={workers}"]
    go(*typed, "trainer.max_steps=7", "log_dir=whole")
    go(*typed, "trainer.max_steps=3", "log_dir=parts")
    (run,) = runs(tmp_path / "parts")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # the paths of a run are absolute
    go(f"resume={run}", "trainer.max_steps=7")
    (whole,) = runs(tmp_path / "whole")
    ours, theirs = checkpoint(run, "last"), checkpoint(whole, "last")
    assert_same(ours["state_dict"], theirs["state_dict"])
    assert_same(ours["optimizer_states"], theirs["optimizer_states"])
    (tmp_path / "shards").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    go(f"resume={run}", "trainer.max_steps=8", "data.urls=moved/*.tar")
