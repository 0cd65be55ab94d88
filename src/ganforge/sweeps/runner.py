from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hydra.core.utils import JobReturn, JobStatus

from ganforge.config.quoting import quoted
from ganforge.console import console
from ganforge.errors import GanforgeError, InterruptionError, RunError
from ganforge.runs.stored.past_summary import best_of
from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.progress import job_table, progress_line, tally
from ganforge.sweeps.signals import ending_on_signals
from ganforge.sweeps.watch import fresh_status, watching

Launch = Callable[[list[list[str]], int], Sequence[JobReturn]]
TrainInProcess = Callable[[list[str]], int]


class SweepRun:
    """Runs the pending jobs of a sweep and updates its record.

    Args:
        record: the sweep; its pending jobs are run.
        plans: the jobs' overrides, by job number.
        launch: passes jobs to Hydra's launcher, numbered from the given first job on.
        apart: trains in a separate process; returns its exit code.
        lonely: numbers of the jobs that need a separate process.
        side_by_side: jobs launched at a time; None runs them one by one in this process.
        kept: whether to write the record; False for dry runs.
    """

    def __init__(
        self,
        record: SweepRecord,
        plans: list[Plan],
        launch: Launch,
        apart: TrainInProcess,
        lonely: set[int],
        side_by_side: int | None = None,
        kept: bool = True,
    ) -> None:
        self.record = record
        self.plans = plans
        self.launch = launch
        self.apart = apart
        self.lonely = lonely
        self.side_by_side = side_by_side
        self.kept = kept
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
            stopped = isinstance(error, KeyboardInterrupt)
            self._finish("interrupted" if stopped else "failed")
            raise
        states = [job.status for job in self.record.jobs]
        ended = [status for status in ("failed", "interrupted") if status in states]
        self._finish(ended[0] if ended else "completed")
        if ended:
            raise self._fault()
        scores = [best_of(self.record.summary(job)) for job in self.record.jobs]
        return [score[1] if score else None for score in scores]

    def _run_all(self) -> None:
        todo = [job for job in self.record.jobs if job.status == "pending"]
        if done := len(self.record.jobs) - len(todo):
            self._say(f"{self.record.path} goes on: {done} of {len(self.record.jobs)} jobs done")
        if self.side_by_side is None:
            for job in todo:
                self._say(progress_line(self.record, job, self._seconds_left()))
                self._run(job)
        else:
            for start in range(0, len(todo), self.side_by_side):
                self._run_together(todo[start : start + self.side_by_side])

    def _run(self, job: Job) -> None:
        """Runs one job in this process, or in a separate one if it trains on several devices."""
        self._note(job, "running")
        began = time.time()
        try:
            if job.number in self.lonely:
                self._settle_code(job, self.apart(self._overrides(job)), began)
            else:
                self._settle(job, self.launch([self._overrides(job)], job.number)[0])
        except KeyboardInterrupt:
            # The signal may have arrived after the job had completed.
            over = fresh_status(self.record, job, began) == "completed"
            self._note(job, "completed" if over else "interrupted")
            raise

    def _run_together(self, jobs: list[Job]) -> None:
        """Runs jobs in parallel through a launcher and watches their run folders."""
        self._say(f"{len(jobs)} jobs · {tally(self.record)}")
        began = time.time()
        try:
            with watching(self.record, jobs, began, self._note, self._say):
                found = self.launch([self._overrides(job) for job in jobs], jobs[0].number)
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
                self._note(job, status if over else "failed", None if over else _told(error))
        else:
            for job, result in zip(jobs, found, strict=True):
                self._settle(job, result)

    def _settle(self, job: Job, result: JobReturn) -> None:
        if result.status == JobStatus.COMPLETED:
            self._note(job, "completed")
        elif isinstance(result._return_value, InterruptionError):
            self._note(job, "interrupted", _told(result._return_value))
        else:
            self._note(job, "failed", _told(result._return_value))

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
            console.print(job_table(self.record).rich(), highlight=False)
            console.print(f"sweep folder: {self.record.path}", soft_wrap=True, highlight=False)

    def _fault(self) -> GanforgeError:
        states = [job.status for job in self.record.jobs]
        kinds = [(n, kind) for kind in ("failed", "interrupted") if (n := states.count(kind))]
        told = " and ".join(f"{n} {kind}" for n, kind in kinds)
        remedy = f"; go on with ganforge train -m resume={self.record.path}" if self.kept else ""
        return RunError(f"of {len(states)} jobs {told}{remedy}")

    def _seconds_left(self) -> float | None:
        left = sum(job.status == "pending" for job in self.record.jobs)
        elapsed = time.monotonic() - self._began
        return elapsed / self._ended * left if self._ended else None

    def _say(self, line: str) -> None:
        console.print(line, style="bold", soft_wrap=True, highlight=False, markup=False)


def _told(error: object) -> str:
    """Returns the first line of an error, with its type unless it is a ganforge error."""
    kind = "" if isinstance(error, GanforgeError) else f"{type(error).__name__}: "
    return (kind + str(error)).splitlines()[0]
