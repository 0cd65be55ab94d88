"""Runs the jobs of a sweep side by side on one machine, each in a process of its own."""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus

from ganforge.callbacks.interruption import SIGNALS
from ganforge.console import console
from ganforge.errors import InterruptionError, RunError
from ganforge.plain_text import one_line
from ganforge.runs.stored.past_summary import best_of, read_summary
from ganforge.sweeps.launchers.job import failed
from ganforge.sweeps.launchers.places import Place, Places
from ganforge.sweeps.process import exit_code, start_training
from ganforge.sweeps.signals import PREEMPTION, deferring_signals

OUTPUT = ".output"  # folder in that of a sweep for the output of its jobs
POLL_SECONDS = 0.1  # seconds between polls of the jobs
REPORT_SECONDS = 30.0  # seconds between two lines on the progress of each job
END = 4000  # bytes at the end of a job's output that are searched for its last line
Began = Callable[[int], object]
Ended = Callable[[int, JobReturn], object]


@dataclass
class LocalJob:
    """A job, and its process while it runs.

    Attributes:
        number: number of the job in the sweep.
        overrides: overrides of its run.
        gpus: number of GPUs that it needs.
        output: file for its output.
        run: its run folder, to read the score that is its result; None for no result.
    """

    number: int
    overrides: list[str]
    gpus: int
    output: Path
    run: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    place: Place | None = None
    began: float = 0.0
    restarts: int = 0
    late: bool = False
    reported: str = ""

    def last_line(self, start: str = "") -> str:
        """Returns the last line of its output that begins with ``start``; "" if there is none."""
        try:
            with self.output.open("rb") as file:
                file.seek(max(0, self.output.stat().st_size - END))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.startswith(start)]
        return next((one_line(line) for line in reversed(lines) if line), "")


@dataclass
class LocalJobs:
    """Runs jobs in separate processes; when interrupted, lets them save a checkpoint.

    Attributes:
        places: hands out the GPUs and cores.
        flags: command-line flags of every job, such as ``["--config-dir", "DIR"]``.
        timeout: seconds after which a job is interrupted and restarted.
        grace: seconds between that signal and the kill.
        max_restarts: maximum number of restarts of a job.
    """

    places: Places
    flags: list[str] = field(default_factory=list)
    timeout: float = math.inf
    grace: float = 120.0
    max_restarts: int = 5

    def __post_init__(self) -> None:
        self._running: list[LocalJob] = []

    def run(
        self, jobs: list[LocalJob], began: Began | None = None, ended: Ended | None = None
    ) -> list[JobReturn]:
        """Runs the jobs; returns their results in the order of ``jobs``.

        Args:
            jobs: the jobs; each starts as soon as its GPUs and cores are free, in this order.
            began: called with the number of a job before it starts.
            ended: called with the number and the result of a job that has ended.

        Raises:
            KeyboardInterrupt: if the sweep was interrupted; no job is left running.
        """
        waiting, results = list(jobs), dict[int, JobReturn]()
        reported = time.monotonic()
        try:
            while waiting or self._running:
                while waiting and (place := self.places.take(waiting[0].gpus)) is not None:
                    job = waiting.pop(0)
                    job.place = place
                    if began is not None:
                        began(job.number)
                    self._start(job)
                for job, result in self._collect():
                    results[job.number] = result
                    if ended is not None:
                        ended(job.number, result)
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    self._report()
                time.sleep(POLL_SECONDS)
        except BaseException:
            self._stop()
            raise
        return [results[job.number] for job in jobs]

    def _start(self, job: LocalJob) -> None:
        assert job.place is not None
        job.output.parent.mkdir(exist_ok=True)
        with deferring_signals(), job.output.open("ab") as output:
            self._running.append(job)
            job.process = start_training(
                [*job.overrides, f"hydra.job.num={job.number}"],
                self.flags,
                job.place.variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            job.began, job.late = time.monotonic(), False
        gpus = f", GPU {','.join(job.place.gpus)}" if job.place.gpus else ""
        line = f"job {job.number}: process {job.process.pid}{gpus}, output: {job.output}"
        console.print(line, soft_wrap=True)

    def _collect(self) -> list[tuple[LocalJob, JobReturn]]:
        """Returns the jobs that have ended, with their results; restarts those that are to be."""
        over = []
        for job in list(self._running):
            assert job.process is not None
            assert job.place is not None
            if job.process.poll() is None:
                self._end_late(job)
                continue
            self._running.remove(job)
            code = exit_code(job.process.returncode)
            preempted = code == 128 + PREEMPTION or (job.late and code > 0)
            if preempted and job.restarts < self.max_restarts:
                job.restarts += 1
                self._start(job)
                continue
            self.places.give_back(job.place)
            over.append((job, result_of(job, code)))
        return over

    def _end_late(self, job: LocalJob) -> None:
        """Interrupts a job that runs for too long; kills it if it does not end."""
        assert job.process is not None
        seconds = time.monotonic() - job.began
        if seconds > self.timeout + self.grace:
            job.process.kill()
        elif seconds > self.timeout and not job.late:
            job.late = True
            job.process.send_signal(PREEMPTION)

    def _report(self) -> None:
        """Prints the last line of each running job, if it is a new one."""
        for job in self._running:
            if (line := job.last_line()) and line != job.reported:
                job.reported = line
                console.print(f"job {job.number}: {line}", soft_wrap=True, highlight=False)

    def _stop(self) -> None:
        """Sends SIGTERM to the jobs and waits for them; each further interrupt sends it again.

        The first signal lets a job save a checkpoint; the second stops it immediately.
        """
        running, self._running = self._running, []
        processes = [job.process for job in running if job.process is not None]
        while any(process.poll() is None for process in processes):
            with contextlib.suppress(KeyboardInterrupt):
                for process in processes:
                    process.send_signal(signal.SIGTERM)
                while any(process.poll() is None for process in processes):
                    time.sleep(POLL_SECONDS)


def result_of(job: LocalJob, code: int) -> JobReturn:
    """Returns Hydra's result for a job that ended with an exit code: the run's best score."""
    if code == 0:
        best = None if job.run is None else best_of(read_summary(job.run)[0])
        return JobReturn(status=JobStatus.COMPLETED, _return_value=best[1] if best else None)
    if code - 128 in SIGNALS:
        name = signal.Signals(code - 128).name
        return failed(InterruptionError(f"interrupted by {name}", code - 128))
    fault = job.last_line("ganforge: ").removeprefix("ganforge: ") or f"exit code {code}"
    return failed(RunError(f"{fault}; its output is in {job.output}"))
