from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hydra.core.utils import JobReturn, JobStatus

from ganforge.config.quoting import quoted
from ganforge.console import console
from ganforge.errors import InterruptionError, RunError, first_line
from ganforge.runs.stored.past_summary import best_of
from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.sweeps.launchers.local import OUTPUT, LocalJob, LocalJobs
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.progress import announce, job_table, progress_line, tally
from ganforge.sweeps.signals import ending_on_signals
from ganforge.terminal import as_typed

Launch = Callable[[list[list[str]], int], Sequence[JobReturn]]
TrainInProcess = Callable[[list[str]], int]
POLL_SECONDS = 2.0  # seconds between polls of the run folders
CLOCK_SKEW = 2.0  # seconds of tolerance for clock skew between file systems


@dataclass
class SweepRun:
    """Runs the pending jobs of a sweep and updates its record.

    Attributes:
        record: the sweep; its pending jobs are run.
        plans: the jobs' overrides, by job number.
        launch: passes jobs to Hydra's launcher, numbered from the given first job on.
        train_apart: trains in a separate process; returns its exit code.
        apart: numbers of the jobs that need a separate process.
        at_once: jobs launched at a time; None runs them one by one in this process.
        kept: whether to write the record; False for dry runs.
        beside: runs the jobs side by side on this machine; None if they are launched.
        gpus: number of GPUs of each job, by job number, for ``beside``.
    """

    record: SweepRecord
    plans: list[Plan]
    launch: Launch
    train_apart: TrainInProcess
    apart: set[int]
    at_once: int | None = None
    kept: bool = True
    beside: LocalJobs | None = None
    gpus: Sequence[int] = ()

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._ended = 0

    def run(self) -> list[float | None]:
        """Runs the pending jobs; returns the best score of every job, by number.

        Raises:
            RunError: at the end, if a job failed.
            KeyboardInterrupt: if the sweep was interrupted.
        """
        try:
            with ending_on_signals():
                self._run_all()
        except BaseException as error:
            self._finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        states = [job.status for job in self.record.jobs]
        counts = {kind: n for kind in ("failed", "interrupted") if (n := states.count(kind))}
        self._finish(next(iter(counts), "completed"))
        if counts:
            text = " and ".join(f"{n} {kind}" for kind, n in counts.items())
            again = as_typed(f"ganforge train -m resume={self.record.path}")
            hint = f"; to resume: {again}" if self.kept else ""
            raise RunError(f"of {len(states)} jobs {text}{hint}")
        scores = [best_of(self.record.summary(job)) for job in self.record.jobs]
        return [score[1] if score else None for score in scores]

    def _run_all(self) -> None:
        todo = [job for job in self.record.jobs if job.status == "pending"]
        if done := len(self.record.jobs) - len(todo):
            announce(f"resuming {self.record.path}: {done} of {len(self.record.jobs)} jobs done")
        if self.beside is not None:
            self._run_beside(self.beside, todo)
        elif self.at_once is None:
            for job in todo:
                announce(progress_line(self.record, job, self._seconds_left()))
                self._run(job)
        else:
            for start in range(0, len(todo), self.at_once):
                self._run_together(todo[start : start + self.at_once])

    def _run(self, job: Job) -> None:
        """Runs one job in this process, or in a separate one if it trains on several devices."""
        self._note(job, "running")
        began = time.time()
        try:
            if job.number in self.apart:
                self._settle_code(job, self.train_apart(self._overrides(job)), began)
            else:
                self._settle(job, self.launch([self._overrides(job)], job.number)[0])
        except KeyboardInterrupt:
            # The signal may have arrived after the job had completed.
            over = fresh_status(self.record, job, began) == "completed"
            self._note(job, "completed" if over else "interrupted")
            raise

    def _run_beside(self, local: LocalJobs, jobs: list[Job]) -> None:
        """Runs jobs in processes of their own, some at a time."""
        by_number = {job.number: job for job in jobs}
        announce(f"{len(jobs)} jobs, {min(local.places.at_once, len(jobs))} at a time")
        started = time.time()

        def begin(number: int) -> None:
            job = by_number[number]
            announce(progress_line(self.record, job, self._seconds_left()))
            self._note(job, "running")

        def end(number: int, result: JobReturn) -> None:
            job = by_number[number]
            self._settle(job, result)
            more = f": {job.error}" if job.error else ""
            announce(f"{job} {job.status}{more} · {tally(self.record)}")

        try:
            local.run([self._local(job) for job in jobs], begin, end)
        except KeyboardInterrupt:
            for job in jobs:
                if job.status == "running":
                    over = fresh_status(self.record, job, started) == "completed"
                    self._note(job, "completed" if over else "interrupted")
            raise

    def _local(self, job: Job) -> LocalJob:
        output = self.record.path / OUTPUT / f"{job.folder}.log"
        return LocalJob(job.number, self._overrides(job), self.gpus[job.number], output)

    def _run_together(self, jobs: list[Job]) -> None:
        """Runs jobs in parallel through a launcher and watches their run folders."""
        announce(f"{len(jobs)} jobs · {tally(self.record)}")
        began = time.time()
        try:
            with watching(self.record, jobs, began, self._note):
                results = self.launch([self._overrides(job) for job in jobs], jobs[0].number)
        except KeyboardInterrupt:
            for job in jobs:
                self._note(job, "interrupted" if job.status == "running" else job.status)
            raise
        except Exception as error:
            # A job's process was killed or could not start: read the states from the run folders.
            states = [fresh_status(self.record, job, began) for job in jobs]
            if not any(states):
                raise
            for job, status in zip(jobs, states, strict=True):
                over = status in ("completed", "interrupted")
                self._note(job, status if over else "failed", None if over else first_line(error))
        else:
            for job, result in zip(jobs, results, strict=True):
                self._settle(job, result)

    def _settle(self, job: Job, result: JobReturn) -> None:
        if result.status == JobStatus.COMPLETED:
            self._note(job, "completed")
        elif isinstance(result._return_value, InterruptionError):
            self._note(job, "interrupted", first_line(result._return_value))
        else:
            self._note(job, "failed", first_line(result._return_value))

    def _settle_code(self, job: Job, code: int, began: float) -> None:
        error = None
        if fresh_status(self.record, job, began) == "failed":
            error = self.record.summary(job).get("error")
        fault = str(error or f"exit code {code}; its message is above").splitlines()[0]
        self._note(job, "failed" if code else "completed", fault if code else None)

    def _overrides(self, job: Job) -> list[str]:
        folder = self.record.run(job).path
        return [*self.plans[job.number].overrides, f"run_dir={quoted(folder)}"]

    def _note(self, job: Job, status: str | None, error: str | None = None) -> None:
        job.status, job.error = status, error  # type: ignore[assignment]
        self._ended += status in ("completed", "failed")
        if self.kept:
            self.record.write()

    def _finish(self, status: str) -> None:
        self.record.status = status
        if self.kept:
            self.record.write()
            console.print(job_table(self.record).rich())
            console.print(f"sweep folder: {self.record.path}", soft_wrap=True)

    def _seconds_left(self) -> float | None:
        left = sum(job.status == "pending" for job in self.record.jobs)
        elapsed = time.monotonic() - self._began
        return elapsed / self._ended * left if self._ended else None


def fresh_status(record: SweepRecord, job: Job, began: float) -> str | None:
    """Returns the status in a job's summary; None if it was not written since ``began``."""
    try:
        written = record.run(job).summary.stat().st_mtime
    except OSError:
        return None
    if written < began - CLOCK_SKEW:  # left by an earlier attempt
        return None
    status = record.summary(job).get("status")
    return None if status is None else str(status)


@contextlib.contextmanager
def watching(
    record: SweepRecord, jobs: list[Job], began: float, note: Callable[[Job, str], None]
) -> Iterator[None]:
    """Tracks jobs in other processes or on other machines by polling their run folders.

    Args:
        record: the sweep.
        jobs: the launched jobs.
        began: launch time, in seconds since the epoch.
        note: records a job's new status.
    """
    over = threading.Event()

    def poll() -> None:
        for job in jobs:
            status = fresh_status(record, job, began)
            if status is not None and status != job.status:
                note(job, status)
                if status != "running":
                    announce(f"{job} {status} · {tally(record)}")

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            poll()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
