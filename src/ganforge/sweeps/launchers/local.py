"""Runs the jobs of a sweep in parallel on one machine, through submitit's local executor."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from hydra.core.utils import JobReturn

from ganforge.console import console
from ganforge.errors import ConfigError
from ganforge.sweeps.launchers.job import PREEMPTION, SubmittedJob, result_of
from ganforge.sweeps.signals import handling

CORES_PER_JOB = 4
POLL_SECONDS = 0.1  # seconds between polls of the jobs
Variables = dict[str, str | None]


def slots(parallel: int | str, gpus_per_job: int, threads: int | str, jobs: int) -> list[Variables]:
    """Returns the environment variables of each slot; one job runs in a slot at a time.

    Args:
        parallel: number of jobs that run at the same time, or "auto".
        gpus_per_job: GPUs visible to each job.
        threads: CPU threads per job, or "auto".
        jobs: total number of jobs, an upper limit for the slots.

    Raises:
        ConfigError: if the machine has fewer GPUs than one job needs.
    """
    gpus, cores = _gpus() if gpus_per_job else [], _cores()
    if gpus and len(gpus) < gpus_per_job:
        raise ConfigError(
            f"hydra.launcher.gpus_per_job={gpus_per_job}, but this machine has {len(gpus)} GPUs"
        )
    fitting = len(gpus) // gpus_per_job if gpus else max(1, cores // CORES_PER_JOB)
    count = min(fitting if parallel == "auto" else int(parallel), jobs)
    share = max(1, cores // count) if threads == "auto" else int(threads)
    cpus = str(share) if threads != "auto" else os.environ.get("OMP_NUM_THREADS", str(share))
    sets = [gpus[k * gpus_per_job : (k + 1) * gpus_per_job] for k in range(fitting)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")  # kept as it is if no GPUs are assigned
    return [
        {
            "OMP_NUM_THREADS": cpus,
            # With more parallel jobs than GPU sets, jobs share the sets round-robin.
            "CUDA_VISIBLE_DEVICES": ",".join(sets[k % fitting]) if gpus else visible,
        }
        for k in range(count)
    ]


class LocalJobs:
    """Runs jobs in a fixed number of slots; when interrupted, lets them save a checkpoint.

    Args:
        folder: folder for the jobs' output.
        slots: environment variables of each slot.
        timeout_min: minutes after which a job is interrupted and restarted.
        signal_delay_s: seconds between that signal and the kill.
        max_num_timeout: maximum number of restarts.
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
        """Runs the jobs; returns their results in the order of ``jobs``.

        Raises:
            KeyboardInterrupt: if the sweep was interrupted; no job is left running.
        """
        waiting, results = list(jobs), dict[int, JobReturn]()
        try:
            while waiting or self._running:
                for slot in range(len(self.slots)):
                    if waiting and slot not in self._running:
                        self._running[slot] = self._start(waiting.pop(0), slot)
                results |= self._collect()
                time.sleep(POLL_SECONDS)
        except BaseException:
            self._stop()
            raise
        return [results[job.number] for job in jobs]

    def _start(self, job: SubmittedJob, slot: int) -> tuple[SubmittedJob, Any]:
        job.variables = self.slots[slot]
        with handling([signal.SIGINT], signal.SIG_IGN):  # on Ctrl-C, submitit kills its jobs
            submitted = self.executor.submit(job)
        line = f"job {job.number}: process {submitted.job_id}, output: {submitted.paths.stdout}"
        console.print(line, soft_wrap=True)
        return job, submitted

    def _collect(self) -> dict[int, JobReturn]:
        done = [slot for slot, (_, submitted) in self._running.items() if submitted.done()]
        ended = [self._running.pop(slot) for slot in done]
        return {job.number: result_of(submitted, job.number) for job, submitted in ended}

    def _stop(self) -> None:
        """Sends SIGTERM to the jobs and waits for them; each further interrupt sends it again.

        The first signal lets a job save a checkpoint; the second stops it immediately.
        """
        while self._running:
            with contextlib.suppress(KeyboardInterrupt):
                for _, submitted in self._running.values():
                    with contextlib.suppress(ProcessLookupError):
                        # The process is submitit's controller, which forwards the signal.
                        os.kill(int(submitted.job_id), signal.SIGTERM)
                while self._running:
                    self._collect()
                    time.sleep(POLL_SECONDS)


def _gpus() -> list[str]:
    import torch  # imported late: it takes seconds and is needed only to assign GPUs

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip()]
    return [str(gpu) for gpu in range(torch.cuda.device_count())]


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
