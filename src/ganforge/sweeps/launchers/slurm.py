"""Runs the jobs of a sweep on a SLURM cluster, through submitit."""

from __future__ import annotations

import os
import time
from typing import Any

from hydra.core.utils import JobReturn

from ganforge.console import console
from ganforge.sweeps.launchers.job import SubmittedJob, result_of
from ganforge.sweeps.signals import PREEMPTION

POLL_SECONDS = 1.0  # seconds between polls of the jobs; submitit queries SLURM much less often


class SlurmJobs:
    """Submits jobs as one array and waits for them, across any number of requeues.

    Args:
        folder: folder for scripts and outputs, on a file system shared by all nodes.
        parameters: submitit's parameters; those that are None are not passed.
        max_num_timeout: maximum number of times a job is requeued after a timeout.
    """

    def __init__(self, folder: str, parameters: dict[str, Any], max_num_timeout: int) -> None:
        # Read when submitit is imported.
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = PREEMPTION.name.removeprefix("SIG")
        from submitit import AutoExecutor

        self.executor: Any = AutoExecutor(
            folder, cluster="slurm", slurm_max_num_timeout=max_num_timeout
        )
        present = {name: value for name, value in parameters.items() if value is not None}
        self.executor.update_parameters(**present)

    def run(self, jobs: list[SubmittedJob]) -> list[JobReturn]:
        """Submits the jobs; returns their results in the order of ``jobs``.

        Raises:
            KeyboardInterrupt: if waiting was interrupted; the jobs continue to run.
        """
        with self.executor.batch():
            submitted = [self.executor.submit(job) for job in jobs]
        for job, one in zip(jobs, submitted, strict=True):
            line = f"job {job.number}: SLURM job {one.job_id}, output: {one.paths.stdout}"
            console.print(line, soft_wrap=True)
        try:
            while not all(one.done() for one in submitted):
                time.sleep(POLL_SECONDS)
        except BaseException:
            left = " ".join(one.job_id for one in submitted if not one.done())
            line = f"the jobs continue without this command; cancel them with scancel {left}"
            console.print(line, soft_wrap=True)
            raise
        return [result_of(one, job.number) for one, job in zip(submitted, jobs, strict=True)]
