"""Jobs of a sweep side by side on one machine, through submitit's local executor."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from hydra.core.utils import JobReturn

from ganforge.console import console
from ganforge.errors import ConfigError
from ganforge.sweeps.launchers.job import PREEMPTION, SubmittedJob, result_of

CORES_PER_JOB = 4
LOOKING = 0.1  # seconds between looks at the jobs
Variables = dict[str, str | None]


def slots(parallel: int | str, gpus_per_job: int, threads: int | str, jobs: int) -> list[Variables]:
    """Returns the variables of each job that runs at the same time as others.

    Args:
        parallel: how many there are, or "auto".
        gpus_per_job: GPUs that each one sees.
        threads: CPU threads of each, or "auto".
        jobs: how many there are to run.

    Raises:
        ConfigError: there are fewer GPUs than one job asks for.
    """
    gpus, cores = _gpus() if gpus_per_job else [], _cores()
    if gpus and len(gpus) < gpus_per_job:
        raise ConfigError(
            f"hydra.launcher.gpus_per_job={gpus_per_job}, but this machine has {len(gpus)}"
        )
    fitting = len(gpus) // gpus_per_job if gpus else max(1, cores // CORES_PER_JOB)
    count = min(fitting if parallel == "auto" else int(parallel), jobs)
    share = max(1, cores // count) if threads == "auto" else int(threads)
    own = str(share) if threads != "auto" else os.environ.get("OMP_NUM_THREADS", str(share))
    places = [gpus[k * gpus_per_job : (k + 1) * gpus_per_job] for k in range(fitting)]
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")  # without GPUs: whatever it is now
    return [
        {
            "OMP_NUM_THREADS": own,
            # More jobs at a time than GPUs were asked for: they take turns on them.
            "CUDA_VISIBLE_DEVICES": ",".join(places[k % fitting]) if gpus else seen,
        }
        for k in range(count)
    ]


class LocalJobs:
    """Runs jobs, so many at a time, and stops them with a checkpoint where the sweep is stopped.

    Args:
        folder: for their output.
        slots: variables of those that run at a time.
        timeout_min: minutes after which a job is told to stop, and started again.
        signal_delay_s: seconds that it then has.
        max_num_timeout: how often it is started again.
    """

    def __init__(
        self,
        folder: str,
        slots: list[Variables],
        timeout_min: int,
        signal_delay_s: int,
        max_num_timeout: int,
    ) -> None:
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = PREEMPTION  # read when submitit is imported
        from submitit import LocalExecutor

        self.executor: Any = LocalExecutor(folder, max_num_timeout=max_num_timeout)
        self.executor.update_parameters(timeout_min=timeout_min, signal_delay_s=signal_delay_s)
        self.slots = slots
        self._running: dict[int, tuple[SubmittedJob, Any]] = {}

    def run(self, jobs: list[SubmittedJob]) -> list[JobReturn]:
        """Runs jobs; returns how each ended, in their order.

        Raises:
            KeyboardInterrupt: the sweep was stopped; no job is left running.
        """
        waiting, results = list(jobs), dict[int, JobReturn]()
        try:
            while waiting or self._running:
                for slot in range(len(self.slots)):
                    if waiting and slot not in self._running:
                        self._running[slot] = self._started(waiting.pop(0), slot)
                results |= self._ended()
                time.sleep(LOOKING)
        except BaseException:
            self._stop()
            raise
        return [results[job.number] for job in jobs]

    def _started(self, job: SubmittedJob, slot: int) -> tuple[SubmittedJob, Any]:
        job.variables = self.slots[slot]
        with _deaf_to_terminals():
            submitted = self.executor.submit(job)
        console.print(
            f"job {job.number} runs as process {submitted.job_id}, its output goes to "
            f"{submitted.paths.stdout}",
            soft_wrap=True,
            highlight=False,
        )
        return job, submitted

    def _ended(self) -> dict[int, JobReturn]:
        done = [slot for slot, (_, submitted) in self._running.items() if submitted.done()]
        ended = [self._running.pop(slot) for slot in done]
        return {job.number: result_of(submitted, job.number) for job, submitted in ended}

    def _stop(self) -> None:
        """Tells the jobs to save and to stop, and waits; told to once more, they stop at once."""
        while self._running:
            with contextlib.suppress(KeyboardInterrupt):
                for _, submitted in self._running.values():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(submitted.job_id), signal.SIGTERM)  # which hands it on
                while self._running:
                    self._ended()
                    time.sleep(LOOKING)


@contextlib.contextmanager
def _deaf_to_terminals() -> Iterator[None]:
    """Lets what is started meanwhile not hear Ctrl-C, upon which submitit kills its jobs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _gpus() -> list[str]:
    import torch  # late: it takes seconds, and only machines with GPUs need it

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [gpu.strip() for gpu in given.split(",") if gpu.strip()]
    return [str(gpu) for gpu in range(torch.cuda.device_count())]


def _cores() -> int:
    known = getattr(os, "sched_getaffinity", None)
    return len(known(0)) if known is not None else os.cpu_count() or 1
