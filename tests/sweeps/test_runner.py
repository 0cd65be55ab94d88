from __future__ import annotations

import signal

import pytest
from hydra.core.utils import JobReturn, JobStatus

from ganforge.errors import InterruptionError, RunError
from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.sweeps.grid import make_folder
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.runner import SweepRun
from tests.support.trainings import SMALL

PLAIN = [o for o in SMALL if "evaluation" not in o and "samples" not in o]
PLAIN += ["~callbacks.samples", "metrics=[]", "trainer.max_steps=2"]
LATE = [
    "+callbacks.late._target_=tests.support.signals.SignalAtEnd",
    "+callbacks.late.name=SIGTERM",
]


def unused(overrides: list[str]) -> int:
    raise AssertionError(overrides)


def test_an_interrupted_job_of_a_launcher_is_marked_as_interrupted(tmp_path):
    jobs = [Job(n, [f"seed={n}"], f"{n}-seed={n}") for n in range(2)]
    record = SweepRecord(tmp_path, "grid", "", ["seed=0,1"], "", jobs=jobs)
    ends = [
        JobReturn(status=JobStatus.COMPLETED, _return_value=None),
        JobReturn(
            status=JobStatus.FAILED,
            _return_value=InterruptionError("interrupted at step 3", signal.SIGTERM),
        ),
    ]
    plans = [Plan((f"seed={n}",), (f"seed={n}",)) for n in range(2)]
    run = SweepRun(record, plans, lambda jobs, first: ends, unused, set(), at_once=2)
    with pytest.raises(RunError, match="of 2 jobs 1 interrupted; to resume: ganforge"):
        run.run()
    found = SweepRecord.read(tmp_path)
    assert found.status == "interrupted"
    assert [job.status for job in found.jobs] == ["completed", "interrupted"]
    assert found.jobs[1].error == "interrupted at step 3"


def test_a_signal_after_the_last_step_of_a_job_ends_the_sweep(type_in, tmp_path):
    typed = type_in("train", "-m", *PLAIN, *LATE, "seed=1,2")
    assert typed.code == 143, typed.err
    (path,) = (tmp_path / "logs" / "multirun").glob("*/*")
    record = SweepRecord.read(path)
    assert record.status == "interrupted"
    assert [job.status for job in record.jobs] == ["completed", "pending"]
    assert record.summary(record.jobs[0])["status"] == "completed"


def test_a_signal_after_the_last_step_of_a_run_leaves_it_complete(type_in, tmp_path):
    assert type_in("train", *PLAIN, *LATE, "seed=1").code == 0


def test_sweeps_that_start_together_have_folders_of_their_own(tmp_path):
    """Even before the first of them has written anything."""
    folders = [make_folder(tmp_path / "12-00-00") for _ in range(3)]
    assert [path.name for path in folders] == ["12-00-00", "12-00-00-2", "12-00-00-3"]


def test_a_sweep_may_be_given_an_empty_folder_and_no_other(tmp_path):
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "notes").touch()
    assert make_folder(tmp_path / "empty") == tmp_path / "empty"
    assert make_folder(tmp_path / "full") == tmp_path / "full-2"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes"]
