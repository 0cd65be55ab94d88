from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganforge.errors import ConfigError, RunError
from ganforge.report.jobs import Sweep
from ganforge.report.tables import rank
from ganforge.runs.lock import locked
from ganforge.runs.sweep_record import Job, SweepRecord
from tests.runs.past_runs import past_run

PLACES = ("completed", "running", "failed", "pending")


def record(folder: Path, *jobs: Job) -> SweepRecord:
    written = SweepRecord(
        folder, "grid", "ganforge train -m", [], "2026-11-22T10:00:00", jobs=[*jobs]
    )
    written.write()
    return written


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "10-00-00"
    jobs = []
    for number, status in enumerate(PLACES):
        overrides = [
            f"loss={'hinge' if number % 2 else 'minimax'}",
            "seed=1",
            f"tune.trial={number}",
        ]
        name = f"{number}-{','.join(overrides)}"
        told = "pending" if status == "pending" else "running"
        jobs.append(Job(number, overrides, name, told))
        if status != "pending":
            past_run(folder / name, status=status, **({"error": "a\nb"} if number == 2 else {}))
    record(folder, *jobs)
    return folder


def test_a_run_folder_knows_better_than_the_record(sweep):
    jobs = Sweep.read([str(sweep)]).jobs
    assert [job.status for job in jobs] == ["completed", "killed", "failed", "pending"]
    assert [job.number for job in jobs] == ["0", "1", "2", "3"]
    assert [job.error for job in jobs] == ["", "", "a", ""]
    assert [job.run is None for job in jobs] == [False, False, False, True]


def test_a_run_whose_folder_is_held_is_running(sweep):
    (folder,) = sweep.glob("1-*")
    with locked(folder):
        assert Sweep.read([str(sweep)]).jobs[1].status == "running"


def test_settings_are_what_tells_jobs_apart(sweep):
    jobs = Sweep.read([str(sweep)]).jobs
    assert [job.settings for job in jobs] == [{"loss": "minimax"}, {"loss": "hinge"}] * 2
    assert jobs[3].label == "loss=hinge"


def test_a_sweep_whose_jobs_never_began(tmp_path):
    record(tmp_path, Job(0, ["a=1"], "0-a=1"), Job(1, ["~a"], "1-~a", "failed", "why"))
    found = Sweep.read([str(tmp_path)])
    assert [(job.status, job.error, job.settings) for job in found.jobs] == [
        ("pending", "", {"a": "1"}),
        ("failed", "why", {"a": "removed"}),
    ]
    assert found.runs == found.folders == []


def test_runs_that_were_gathered_by_hand(tmp_path):
    hinge = {"settings": {"loss._target_": "Hinge"}, "choices": {"loss": "hinge"}}
    past_run(tmp_path / "a", 1)
    past_run(tmp_path / "b", 2, **hinge)
    past_run(tmp_path / "torn")
    (tmp_path / "torn" / "composed.yaml").write_text("a: [")
    jobs = Sweep.read([str(tmp_path)]).jobs
    assert [job.settings for job in jobs] == [
        {"loss": "minimax", "seed": 1},
        {"loss": "hinge", "seed": 2},
        {},
    ]
    assert (jobs[2].status, jobs[2].run) == ("unreadable", None)
    assert "composed.yaml: damaged" in jobs[2].error
    assert jobs[0].number == "a"


def test_a_torn_record_hides_no_run(sweep):
    (sweep / "sweep.json").write_text("{")
    found = Sweep.read([str(sweep)])
    assert found.record is None
    assert len(found.jobs) == 3


def test_neither_run_nor_sweep(tmp_path):
    with pytest.raises(RunError, match="no run folder there"):
        Sweep.read([str(tmp_path)])


# ---------------------------------------------------------------------- ranking


def test_jobs_are_ranked_by_the_protocol_that_most_have(tmp_path):
    past_run(tmp_path / "a", 1, ((640, 9.0), (1280, 12.0)))
    past_run(tmp_path / "b", 2, ((640, 8.0),), status="failed")
    past_run(tmp_path / "c", 3, ((640, 1.0),), protocol={"n_fake": 100})
    past_run(tmp_path / "d", 4, ((0, 1.0),))  # an untrained generator is no candidate
    sweep = Sweep.read([str(tmp_path)])
    ranking = rank(sweep.runs, None)
    assert ranking.name == "fid_classifier"
    assert [job.name for job in ranking.ordered(sweep.jobs)] == ["b", "a"]
    assert [ranking.of(job) for job in sweep.jobs] == [9.0, 8.0, None, None]
    assert (ranking.higher, ranking.others, ranking.protocol["n_fake"]) == (False, 1, 2000)


def test_higher_may_be_better(tmp_path):
    past_run(tmp_path / "a", 1, ((640, 9.0), (1280, 12.0)), higher=True)
    past_run(tmp_path / "b", 2, ((640, 8.0),), higher=True)
    sweep = Sweep.read([str(tmp_path)])
    assert [job.name for job in rank(sweep.runs, "fid_classifier").ordered(sweep.jobs)] == [
        "a",
        "b",
    ]


def test_a_score_that_no_run_has(tmp_path):
    run = past_run(tmp_path / "a")
    with pytest.raises(ConfigError, match=r"score=fid: no run has it.*fid_classifier"):
        rank(Sweep.read([str(tmp_path)]).runs, "fid")
    summary = json.loads((run / "summary.json").read_text()) | {"metrics": {}}
    (run / "summary.json").write_text(json.dumps(summary))
    assert rank(Sweep.read([str(tmp_path)]).runs, None) is None
