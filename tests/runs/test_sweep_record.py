from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganforge.config.job_names import sweep_of
from ganforge.config.quoting import quote_values
from ganforge.errors import ConfigError, RunError
from ganforge.runs.lock import locked
from ganforge.runs.sweep_record import (
    Job,
    SweepRecord,
    find_sweeps,
    named_job,
)
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.progress import best_of, job_table, progress_line, roughly
from ganforge.sweeps.resume import find_sweep, identity_of, match_jobs, published
from ganforge.sweeps.runner import fresh_status

TYPED = ["model=gan", "seed=1,2"]


def sweep(log_dir: Path, time: str, *states: str, kind: str = "grid") -> SweepRecord:
    """Makes a sweep over two seeds, whose jobs' summaries say ``states``; "" of no summary."""
    jobs = [Job(n, [f"seed={n + 1}"], f"{n}-seed={n + 1}") for n in range(2)]
    path = log_dir / "multirun" / "2026-01-31" / time
    record = SweepRecord(path, kind, "train.py -m", TYPED, "2026-01-31T10:00:00", jobs=jobs)
    record.write()
    for job, status in zip(jobs, states, strict=False):
        if status:
            summarize(record, job, status)
    return record


def summarize(record: SweepRecord, job: Job, status: str, **more) -> None:
    record.run(job).path.mkdir(parents=True, exist_ok=True)
    record.run(job).summary.write_text(json.dumps({"status": status} | more))


def test_a_record_comes_back_as_it_was_written(tmp_path):
    record = sweep(tmp_path, "10-00-00")
    record.jobs[1].status, record.jobs[1].error = "failed", "no data"
    record.write()
    assert SweepRecord.read(record.path) == record
    assert [path.name for path in record.path.iterdir()] == ["sweep.json"]
    known = json.loads((record.path / "sweep.json").read_text())
    assert known["kind"] == "grid"
    assert known["jobs"][1] == {
        "number": 1,
        "overrides": ["seed=2"],
        "folder": "1-seed=2",
        "status": "failed",
        "error": "no data",
    }


def test_a_damaged_record_is_reported_and_hides_no_other(tmp_path):
    newest, other = sweep(tmp_path, "11-00-00"), sweep(tmp_path, "10-00-00")
    (newest.path / "sweep.json").write_text('{"kind": "gr')
    with pytest.raises(RunError, match=r"sweep\.json: damaged"):
        SweepRecord.read(newest.path)
    with pytest.raises(RunError, match=r"not a sweep's folder: it has no sweep\.json"):
        SweepRecord.read(tmp_path)
    assert [found.path for found in find_sweeps(tmp_path)] == [other.path]


def test_a_summary_knows_better_than_the_record(tmp_path):
    record = sweep(tmp_path, "10-00-00", "completed")
    record.jobs[1].status = "failed"  # before it had a folder
    assert [record.status_of(job) for job in record.jobs] == ["completed", "failed"]
    assert record.unfinished() == [record.jobs[1]]


def test_a_run_knows_its_sweep(tmp_path):
    record = sweep(tmp_path, "10-00-00", "completed")
    assert sweep_of(record.run(record.jobs[0]).path) == record.path
    assert sweep_of(record.path) is None


def test_messages_name_a_job_by_its_overrides(tmp_path):
    record = sweep(tmp_path, "10-00-00", "completed")
    job = record.jobs[0]
    assert named_job(record.run(job).path) == str(job)
    assert named_job(tmp_path / "0-s1") == "job 0-s1"


# ---------------------------------------------------------------------- which one goes on


def test_auto_takes_the_newest_unfinished_sweep_of_the_same_overrides(tmp_path):
    oldest = sweep(tmp_path, "10-00-00", "completed", "interrupted")
    unfinished = sweep(tmp_path, "11-00-00", "completed", "failed")
    completed = sweep(tmp_path, "12-00-00", "completed", "completed")
    sweep(tmp_path, "13-00-00", "completed", kind="search")
    shuffled = [*reversed(TYPED), f"log_dir={tmp_path}"]
    assert find_sweep("auto", shuffled, tmp_path).path == unfinished.path
    with locked(unfinished.path):  # another process is at work there
        assert find_sweep("auto", TYPED, tmp_path).path == oldest.path
    assert find_sweep("auto", ["model=gan", "seed=1,2,3"], tmp_path) is None
    assert find_sweep(None, TYPED, tmp_path) is None
    assert find_sweep("latest", TYPED, tmp_path).path == completed.path
    assert find_sweep(str(oldest.path), [], tmp_path).path == oldest.path


def test_a_sweep_that_cannot_be_resumed_is_rejected_with_the_reason(tmp_path, monkeypatch):
    with pytest.raises(RunError, match="no sweep under"):
        find_sweep("latest", TYPED, tmp_path)
    with pytest.raises(RunError, match="no such folder; give auto"):
        find_sweep(str(tmp_path / "nowhere"), TYPED, tmp_path)
    record = sweep(tmp_path, "10-00-00", "completed")
    other = r"other overrides \(typed now: seed=1,2,3; typed then: seed=1,2\)"
    with pytest.raises(ConfigError, match=other):
        find_sweep("latest", ["seed=1,2,3", "model=gan"], tmp_path)
    monkeypatch.setenv("SECRET", "sesame")
    record.overrides.append("notes=${oc.env:SECRET}")
    record.write()
    with pytest.raises(ConfigError, match=r"then: .*notes=\$\{oc.env:SECRET\}") as raised:
        find_sweep("latest", ["seed=1"], tmp_path)
    assert "sesame" not in str(raised.value)
    with locked(record.path), pytest.raises(RunError, match="is run by"):
        find_sweep("latest", TYPED, tmp_path)
    search = sweep(tmp_path, "11-00-00", kind="search")
    with pytest.raises(ConfigError, match="is a search; resume it with the tune=NAME"):
        find_sweep(str(search.path), TYPED, tmp_path)


def test_notes_are_stored_without_secrets_and_match_all_the_same(tmp_path):
    notes = "notes='see https://me:T0PSECRET@host/x'"
    assert published("optimizer.x.token=T0PSECRET") == "optimizer.x.token=T0PSECRET"  # is needed
    assert identity_of([notes, "log_dir=a", "dry_run=true"]) == identity_of([published(notes)])


@pytest.mark.parametrize(
    "typed",
    [
        "notes='see https://me:T0PSECRET@host/x'",
        r"notes='it\'s token: \'T0PSECRET def\''",
        "++notes=password=T0PSECRET",
        "tags=['https://me:T0PSECRET@host, a',b]",
        "logger.wandb.notes='token=T0PSECRET'",
    ],
)
def test_what_is_stored_has_no_secret_and_can_be_parsed(typed):
    (typed,) = quote_values([typed])
    stored = published(typed)
    assert "T0PSECRET" not in stored
    assert published(stored) == stored
    parsed = [OverridesParser.create().parse_override(text) for text in (typed, stored)]
    assert parsed[0].key_or_group == parsed[1].key_or_group
    assert type(parsed[0].value()) is type(parsed[1].value())


def test_a_grid_whose_jobs_are_not_counted_from_zero_is_damaged(tmp_path):
    record = sweep(tmp_path, "10-00-00", "completed")
    record.jobs[0].number = 1
    record.write()
    with pytest.raises(RunError, match=r"cannot be read \(its jobs are not numbered"):
        SweepRecord.read(record.path)


def test_jobs_that_are_not_completed_are_to_be_done(tmp_path):
    record = sweep(tmp_path, "10-00-00", "running", "completed")
    record.jobs[0].error, record.jobs[1].status = "torn", "running"  # killed before it was noted
    match_jobs(record, [Plan((), ("seed=1",)), Plan((), ("seed=2",))])
    assert [(job.status, job.error) for job in record.jobs] == [
        ("pending", None),
        ("completed", None),
    ]
    with pytest.raises(ConfigError, match="expand to 1 jobs, which are not the 2"):
        match_jobs(record, [Plan((), ("seed=1",))])


def test_the_summary_of_an_earlier_attempt_says_nothing_of_this_one(tmp_path):
    record = sweep(tmp_path, "10-00-00", "failed")
    written = record.run(record.jobs[0]).summary.stat().st_mtime
    assert fresh_status(record, record.jobs[0], began=written - 1) == "failed"
    assert fresh_status(record, record.jobs[0], began=written + 10) is None
    assert fresh_status(record, record.jobs[1], began=written) is None


# ---------------------------------------------------------------------- what is said


def test_the_line_before_a_job_says_how_far_the_sweep_is(tmp_path):
    record = sweep(tmp_path, "10-00-00")
    assert progress_line(record, record.jobs[0], None) == "job 1 of 2 · seed=1 · 0 done"
    record.jobs[0].status = "failed"
    told = progress_line(record, record.jobs[1], 250.0)
    assert told == "job 2 of 2 · seed=2 · 0 done, 1 failed · about 4 min left"
    assert [roughly(s) for s in (0.2, 89, 90, 5399, 5400)] == [
        "1 s",
        "89 s",
        "2 min",
        "90 min",
        "1.5 h",
    ]


def test_the_table_shows_scores_and_errors(tmp_path):
    record = sweep(tmp_path, "10-00-00")
    best = {"fid_small": {"name": "fid_small", "value": 12.3456, "step": 4}}
    summarize(record, record.jobs[0], "completed", best=best)
    assert best_of(record.summary(record.jobs[0])) == ("fid_small", 12.3456)
    assert best_of({"best": {}}) is None
    record.jobs[0].status = "completed"
    record.jobs[1].status, record.jobs[1].error = "failed", "data=[x]: none"
    table = job_table(record)
    assert table.rows == [
        ["0", "seed=1", "completed", "fid_small 12.35"],
        ["1", "seed=2", "failed", "-"],
    ]
    assert table.title == "2 jobs: 1 done, 1 failed"
    assert table.notes == ["job 1 (seed=2) failed: data=[x]: none"]
