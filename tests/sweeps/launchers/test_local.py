"""Jobs side by side, with shell commands in place of trainings."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus

from ganforge.config.quoting import quoted
from ganforge.errors import InterruptionError, RunError
from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.sweeps.launchers import local
from ganforge.sweeps.launchers.local import LocalJob, LocalJobs
from ganforge.sweeps.launchers.places import Places
from ganforge.sweeps.launchers.settings import local_job
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.runner import SweepRun

DONE = JobStatus.COMPLETED
# Fails if another job has the GPU; writes down what the job sees.
ON_A_GPU = """
for gpu in $(echo $CUDA_VISIBLE_DEVICES | tr , " "); do mkdir held-$gpu || exit 3; done
echo $CUDA_VISIBLE_DEVICES > saw-{0}; sleep 0.15; rmdir held-*
""".strip()
ONE_GPU = ON_A_GPU.replace("held-*", "held-$CUDA_VISIBLE_DEVICES")


@pytest.fixture(autouse=True)
def shell(tmp_path, monkeypatch):
    """Has a shell stand in for Python: a training does what its first override says."""
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\n[ "$1 $2 $3 $4" = "-P -m ganforge train" ] && eval "$5"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(local, "POLL_SECONDS", 0.01)
    monkeypatch.chdir(tmp_path)


def jobs_of(folder: Path, *commands: str, gpus: int = 0) -> list[LocalJob]:
    return [
        LocalJob(number, [command.format(number)], gpus, folder / "output" / f"{number}.log")
        for number, command in enumerate(commands)
    ]


def saw(folder: Path, *numbers: int) -> list[str]:
    return [(folder / f"saw-{number}").read_text().strip() for number in numbers]


def test_each_job_has_a_gpu_of_its_own_and_the_others_wait(tmp_path):
    jobs = jobs_of(tmp_path, *[ONE_GPU] * 5, gpus=1)
    results = LocalJobs(Places(2, ["3", "6"])).run(jobs)
    assert [result.status for result in results] == [DONE] * 5
    seen = saw(tmp_path, 0, 1, 2, 3, 4)
    assert seen[:2] == ["3", "6"]
    assert set(seen) == {"3", "6"}


def test_a_job_of_two_gpus_waits_for_both(tmp_path):
    jobs = jobs_of(tmp_path, ONE_GPU, ON_A_GPU, ONE_GPU, gpus=1)
    jobs[1].gpus = 2
    results = LocalJobs(Places(2, ["0", "1"])).run(jobs)
    assert [result.status for result in results] == [DONE] * 3
    assert saw(tmp_path, 0, 1) == ["0", "0,1"]


def test_jobs_get_the_variables_and_their_number(tmp_path):
    places = Places(1, [], variables={"GANFORGE_CORES": "2"})
    places_of = "echo cores $GANFORGE_CORES gpu [$CUDA_VISIBLE_DEVICES] $6"
    LocalJobs(places).run(jobs_of(tmp_path, places_of))
    assert (tmp_path / "output/0.log").read_text() == "cores 2 gpu [] hydra.job.num=0\n"


def test_the_result_of_a_job_is_the_best_score_of_its_run(tmp_path):
    sweep = tmp_path / "a sweep"
    summary = json.dumps({"status": "completed", "best": {"fid": {"step": 5, "value": 12.5}}})
    write = f"mkdir -p run; echo '{summary}' > run/summary.json"
    own = LocalJob(3, [write], 0, tmp_path / "3.log", tmp_path / "run")
    (result,) = LocalJobs(Places(1)).run([own])
    assert result.return_value == 12.5
    (result,) = LocalJobs(Places(1)).run([LocalJob(4, ["true"], 0, tmp_path / "4.log", sweep)])
    assert result.return_value is None  # a run without scores


def test_a_job_of_another_sweeper_has_its_folder_in_that_of_the_sweep(tmp_path):
    sweep = tmp_path / "a sweep"
    job = local_job(3, ["model=dcgan", "seed=1"], 1, sweep)
    assert (job.number, job.gpus, job.output) == (3, 1, sweep / ".output" / "3.log")
    assert job.run == sweep / "3-dcgan-s1"
    assert job.overrides == ["model=dcgan", "seed=1", f"run_dir={quoted(job.run)}"]
    again = local_job(3, job.overrides, 1, tmp_path)
    assert (again.run, again.overrides) == (job.run, job.overrides)


def test_a_failure_is_reported_by_its_own_message(tmp_path):
    commands = ["echo 'ganforge: data.batch_size=99 is larger' >&2; exit 2", "exit 7", "kill -9 $$"]
    results = LocalJobs(Places(3)).run(jobs_of(tmp_path, *commands))
    faults = [str(result._return_value) for result in results]
    assert all(isinstance(result._return_value, RunError) for result in results)
    assert faults[0].startswith("data.batch_size=99 is larger; its output is in ")
    assert faults[1].startswith("exit code 7; ")
    assert faults[2].startswith("exit code 137; ")
    assert faults[2].endswith("2.log")


def test_a_job_that_somebody_else_stops_is_interrupted_and_the_others_run_on(tmp_path):
    results = LocalJobs(Places(1)).run(jobs_of(tmp_path, "kill -TERM $$", "true"))
    assert isinstance(results[0]._return_value, InterruptionError)
    assert results[0]._return_value.exit_code == 128 + signal.SIGTERM
    assert results[1].status == DONE


def test_a_preempted_job_is_started_again_at_most_so_often(tmp_path):
    once = "[ -e again ] && exit 0; touch again; kill -USR1 $$"
    results = LocalJobs(Places(1)).run(jobs_of(tmp_path, once, "echo x; exit {{0}}"))
    assert results[0].status == DONE
    jobs = jobs_of(tmp_path, "echo x; kill -USR1 $$")
    (result,) = LocalJobs(Places(1), max_restarts=2).run(jobs)
    assert isinstance(result._return_value, InterruptionError)
    assert (tmp_path / "output/0.log").read_text().count("x") == 3


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_told_to_save_and_then_killed(tmp_path):
    saves = "trap 'touch saved; exit 138' USR1; [ -e saved ] && exit 0; sleep 4 & wait"
    ignores = "trap '' USR1; echo x; sleep 4"
    jobs = jobs_of(tmp_path, saves, ignores)
    pool = LocalJobs(Places(2), timeout=0.6, grace=0.3, max_restarts=1)
    saved, killed = pool.run(jobs)
    assert saved.status == DONE
    assert str(killed._return_value).startswith("exit code 137")
    assert (tmp_path / "output/1.log").read_text().count("x") == 2


def test_ctrl_c_lets_the_jobs_save_and_leaves_none_running(tmp_path):
    saves = "trap 'touch saved-{0}; exit 143' TERM; touch up-{0}; sleep 4 & wait"
    jobs = jobs_of(tmp_path, saves, saves, saves)
    ready = threading.Event()

    def interrupt() -> None:
        while not all((tmp_path / f"up-{n}").exists() for n in range(2)):
            ready.wait(0.01)
        signal.raise_signal(signal.SIGINT)

    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            LocalJobs(Places(2)).run(jobs)
    finally:
        thread.join()
        signal.signal(signal.SIGINT, former)
    assert sorted(path.name for path in tmp_path.glob("saved-*")) == ["saved-0", "saved-1"]
    assert not (tmp_path / "up-2").exists()
    assert all(job.process is None or job.process.poll() is not None for job in jobs)


def test_a_second_signal_is_passed_on(tmp_path):
    class Ending:
        told = 0

        def poll(self) -> int | None:
            return 0 if self.told > 1 else None

        def send_signal(self, number: int) -> None:
            assert number == signal.SIGTERM
            self.told += 1
            if self.told == 1:
                raise KeyboardInterrupt

    (job,) = jobs_of(tmp_path, "true")
    job.process = Ending()
    pool = LocalJobs(Places(1))
    pool._running = [job]
    pool._stop()
    assert (job.process.told, pool._running) == (2, [])


# ---------------------------------------------------------------------- as part of a sweep


def swept(folder: Path, *commands: str, done: int = 0) -> SweepRun:
    jobs = [Job(n, [f"seed={n}"], f"{n}-s{n}") for n in range(len(commands))]
    for job in jobs[:done]:
        job.status = "completed"
    plans = [Plan((command,), (f"seed={n}",)) for n, command in enumerate(commands)]
    record = SweepRecord(folder, "grid", "", ["seed=0,1"], "", jobs=jobs)
    pool = LocalJobs(Places(2, ["0", "1"]))

    def unused(*_: object) -> list[JobReturn]:
        raise AssertionError

    return SweepRun(record, plans, unused, unused, set(), None, True, pool, [1] * len(jobs))


def test_a_sweep_records_how_each_job_ends(tmp_path, capsys):
    fails = "echo 'ganforge: no such data'; exit 2"
    run = swept(tmp_path, "exit 9", "true", fails, "kill -TERM $$", done=1)
    with pytest.raises(RunError, match="of 4 jobs 1 failed and 1 interrupted; to resume"):
        run.run()
    found = SweepRecord.read(tmp_path)
    states = ["completed", "completed", "failed", "interrupted"]
    assert [job.status for job in found.jobs] == states
    assert found.jobs[2].error.startswith("no such data; its output is in")
    output = " ".join(capsys.readouterr().out.split())
    assert "3 jobs, 2 at a time" in output
    assert "job 2 of 4 · seed=1 · 1 done" in output
    assert "job 2 (seed=2) failed: no such data" in output
    assert (tmp_path / ".output" / "2-s2.log").is_file()
    assert not (tmp_path / ".output" / "0-s0.log").exists()


def test_an_interrupted_sweep_knows_which_jobs_to_resume(tmp_path):
    stops = "kill -TERM $PPID; sleep 4"
    run = swept(tmp_path, stops, "true", "true")
    run.beside.places.at_once = 1
    with pytest.raises(KeyboardInterrupt, match="interrupted by SIGTERM"):
        run.run()
    found = SweepRecord.read(tmp_path)
    assert found.status == "interrupted"
    assert [job.status for job in found.jobs] == ["interrupted", "pending", "pending"]
