"""Sweeps as they are typed: killed, told to stop, with a failing job, in several processes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from ganforge.runs.sweep_record import SweepRecord, find_sweeps
from tests.support.same_runs import assert_same, checkpoint, metrics
from tests.support.trainings import SMALL, run_jobs

# No scores, no grids: a job takes a fraction of a second.
PLAIN = [o for o in SMALL if "evaluation" not in o and "samples" not in o]
PLAIN += ["~callbacks.samples"]
PLAIN += ["metrics=[]"]


def callback(name: str, target: str, **values) -> list[str]:
    node = f"+callbacks.{name}"
    return [f"{node}._target_={target}", *(f"{node}.{k}={v}" for k, v in values.items())]


def kill(step: int, signal: str = "SIGKILL") -> list[str]:
    """Kills the second job."""
    return callback("kill", "tests.support.kill.KillAt", step=step, run="'1-'", signal=signal)


def swept(jobs: dict[str, list[list[str]]], codes: dict[str, list[int]], folder: Path) -> Path:
    """Runs commands one after the other, and returns where, once they ended as they should."""
    found = run_jobs(jobs, folder)
    assert found == codes, (folder / "output.txt").read_text()[-6000:]
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    grid = ["-m", *PLAIN, "seed=1,2,3"]
    killed = [*grid, *kill(7)]
    jobs = {
        "whole": [grid],
        "killed": [killed, [*killed, "resume=auto"]],
        "failing": [["-m", *PLAIN, "data.batch_size=8,99,4"]],
    }
    codes = {"whole": [0], "killed": [-9, 0], "failing": [1]}
    return swept(jobs, codes, tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="module")
def further(tmp_path_factory) -> Path:
    """Sweeps that are killed before the first checkpoint, and told to stop."""
    pair = ["-m", *PLAIN, "seed=1,2"]
    early, stopped = [*pair, *kill(2)], [*pair, *kill(7, "SIGTERM")]
    jobs = {
        "early": [early, [*early, "resume=auto"]],
        "stopped": [stopped, ["-m", "resume=latest"]],
    }
    codes = {"early": [-9, 0], "stopped": [143, 0]}
    return swept(jobs, codes, tmp_path_factory.mktemp("further"))


def only_sweep(folder: Path, name: str) -> SweepRecord:
    """Returns the sweep of a job: there must be one alone."""
    records = find_sweeps(folder / name)
    assert len(records) == 1
    assert len(list((folder / name / "multirun").glob("*/*"))) == 1
    return records[0]


def test_a_sweep_gives_each_job_a_folder(folder):
    record = only_sweep(folder, "whole")
    assert record.kind == "grid"
    assert record.status == "completed"
    assert "seed=1,2,3" in record.overrides
    assert [job.overrides for job in record.jobs] == [["seed=1"], ["seed=2"], ["seed=3"]]
    names = sorted(path.name for path in record.path.iterdir())
    assert names == ["0-s1", "1-s2", "2-s3", "sweep.json"]
    for job in record.jobs:
        assert job.status == record.status_of(job) == "completed"
        assert record.summary(job)["step"] == 11
        assert record.summary(job)["run"] == job.folder
    firsts = [metrics(record.run(job).path)[0] for job in record.jobs]
    assert firsts[0] != firsts[1] != firsts[2]


def assert_ended_as(whole: SweepRecord, ours: SweepRecord) -> None:
    assert ours.status == "completed"
    for job, other in zip(ours.jobs, whole.jobs, strict=False):
        assert job.status == "completed"
        runs = ours.run(job).path, whole.run(other).path
        for kind in ("last", "previous"):
            assert_same(*(checkpoint(run, kind) for run in runs), kind)
        assert metrics(runs[0]) == metrics(runs[1])
        assert not list(runs[0].glob("*.tmp.*"))


def test_a_resumed_sweep_ends_bit_equal(folder):
    whole, ours = only_sweep(folder, "whole"), only_sweep(folder, "killed")
    assert len(ours.jobs) == len(whole.jobs) == 3
    assert_ended_as(whole, ours)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["early", "stopped"])
def test_one_that_is_ended_otherwise_does_too(folder, further, name):
    ours = only_sweep(further, name)
    assert len(ours.jobs) == 2
    assert_ended_as(only_sweep(folder, "whole"), ours)


def test_a_finished_job_is_not_run_again(folder):
    record = only_sweep(folder, "killed")
    killed = next(record.path.glob("killed-7")).stat().st_mtime_ns
    written = [
        (record.run(job).checkpoints / "last.ckpt").stat().st_mtime_ns for job in record.jobs
    ]
    assert written[0] < killed < written[1] < written[2]


@pytest.mark.slow
def test_a_job_that_had_no_checkpoint_begins_again_in_its_folder(further):
    record = only_sweep(further, "early")
    assert sorted(p.name for p in record.path.iterdir() if p.is_dir()) == ["0-s1", "1-s2"]
    steps = [int(row["step"]) for row in metrics(record.run(record.jobs[1]).path)]
    assert steps == [2, 4, 6, 8, 10]


def test_a_failing_job_leaves_the_others_running(folder):
    record = only_sweep(folder, "failing")
    assert record.status == "failed"
    assert [job.status for job in record.jobs] == ["completed", "failed", "completed"]
    assert "batch_size=99 is larger than" in str(record.jobs[1].error)
    assert not record.run(record.jobs[1]).path.exists()
    assert record.jobs[0].error is None
    output = (folder / "output.txt").read_text()
    assert "job 3 of 3 · data.batch_size=4 · 1 done, 1 failed · about" in output
    assert "3 jobs: 2 done, 1 failed" in output
    assert "of 3 jobs 1 failed; to resume: ganforge train -m resume=" in output


@pytest.mark.slow
def test_a_process_that_fails_ends_its_job_and_not_the_sweep(tmp_path):
    several = [o for o in PLAIN if o != "trainer=cpu"] + ["trainer=ddp_cpu"]
    broken = callback("broken", "tests.support.broken.BrokenAt", step="4,99", rank=1)
    codes = run_jobs({"processes": [["-m", *several, *broken]]}, tmp_path)
    output = (tmp_path / "output.txt").read_text()
    assert codes == {"processes": [1]}, output[-6000:]
    record = only_sweep(tmp_path, "processes")
    assert [job.status for job in record.jobs] == ["failed", "completed"]
    assert record.jobs[0].error
    assert "2 x cpu" in record.summary(record.jobs[1])["device"]
    state = torch.load(record.run(record.jobs[1]).checkpoint(), weights_only=True)
    assert state["global_step"] == 11
    assert "broken at step 4" in output
    assert not list(tmp_path.glob("processes/train/20*"))  # no second sweep, no run beside it


@pytest.mark.slow
def test_jobs_side_by_side_in_processes_of_a_launcher(tmp_path):
    pytest.importorskip("submitit")
    typed = ["-m", *PLAIN, "hydra/launcher=submitit_local", "data.batch_size=8,99"]
    codes = run_jobs({"side": [typed]}, tmp_path)
    output = (tmp_path / "output.txt").read_text()
    assert codes == {"side": [1]}, output[-6000:]
    record = only_sweep(tmp_path, "side")
    assert [job.status for job in record.jobs] == ["completed", "failed"]
    assert "batch_size=99 is larger than" in str(record.jobs[1].error)
    assert record.summary(record.jobs[0])["step"] == 11
    assert record.summary(record.jobs[0])["run"] == "0-batch_size8"


def test_the_output_reports_the_resumed_sweep(folder):
    output = (folder / "output.txt").read_text()
    assert re.search(r"resuming \S+: 1 of 3 jobs done", output)
    assert "Traceback" not in output


# ---------------------------------------------------------------------- what is refused

FAKE = ["data=fake", "data.size=16", "data.batch_size=4", "data.image_size=16", "model=gan"]
FAKE += ["trainer=cpu", "logger=csv", "metrics=[]"]


def refused(typed, tmp_path, *parts: str) -> None:
    assert typed.code == 2, typed.err
    for part in parts:
        assert part in typed.err
    assert not list(tmp_path.rglob("sweep.json"))
    assert not list(tmp_path.rglob("multirun"))


def test_a_wrong_value_in_one_job_refuses_the_whole_sweep(type_in, tmp_path):
    typed = type_in("train", "-m", *FAKE, "seed=1,2", "data.batch_size=4,eight")
    jobs = "job 2 (data.batch_size=eight,seed=1), job 3 (data.batch_size=eight,seed=2)"
    refused(typed, tmp_path, "no job was started", jobs, "must be a whole number, got 'eight'")


def test_a_wrong_device_in_one_job_refuses_the_whole_sweep(type_in, tmp_path):
    typed = type_in("train", "-m", *FAKE, "trainer.accelerator=cpu,abacus")
    refused(typed, tmp_path, "job 1 (trainer.accelerator=abacus): ", "abacus")


PARTS = {
    "optimizer.generator.lr=0.1,-1": "optimizer: Invalid learning rate: -1",
    "augment=diffaugment augment.cutout=0.5,-1": "DiffAugment: cutout must be ",
    "schedule=linear schedule.total=5,-1": "LinearDecay: total must be at least 1",
}


@pytest.mark.parametrize(("swept", "fault"), PARTS.items(), ids=PARTS)
def test_a_part_that_refuses_its_value_refuses_the_whole_sweep(type_in, tmp_path, swept, fault):
    typed = type_in("train", "-m", *FAKE, "seed=1,2", *swept.split())
    refused(typed, tmp_path, "no job was started", fault)


def test_jobs_that_are_the_same_are_refused(type_in, tmp_path):
    typed = type_in("train", "-m", *FAKE, "seed=1,1")
    refused(typed, tmp_path, "jobs 0 and 1 of the sweep are the same: seed=1")


def test_a_sweep_of_dry_runs_leaves_nothing(type_in, tmp_path):
    typed = type_in("train", "-m", *FAKE, "seed=1,2", "dry_run=true")
    assert typed.code == 0, typed.err
    assert typed.out.count("generator: ") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_sweeps_of_one_second_have_folders_of_their_own(type_in, tmp_path, monkeypatch):
    monkeypatch.setattr("ganforge.commands.train.train", lambda cfg: None)
    there = "hydra.sweep.dir=sweeps/one"
    for _ in range(2):
        assert type_in("train", "-m", *FAKE, "seed=1,2", there).code == 0
    assert sorted(p.name for p in (tmp_path / "sweeps").iterdir()) == ["one", "one-2"]
    for path in (tmp_path / "sweeps").iterdir():
        found = json.loads((path / "sweep.json").read_text())
        assert [job["status"] for job in found["jobs"]] == ["completed", "completed"]
