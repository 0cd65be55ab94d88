"""A job of a sweep in a process started by submitit on a cluster."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from ganforge.errors import InterruptionError, RunError
from ganforge.sweeps.signals import PREEMPTION
from ganforge.terminal import readable_streams


@dataclass
class SubmittedJob:
    """The callable that a job's process runs; it is pickled and sent to that process.

    Attributes:
        number: number of the job in the sweep.
        overrides: overrides of the job.
        config: the sweep's configuration.
        context: Hydra's context, which holds the config loader.
        task: the function that Hydra calls for each job.
        state: Hydra's singletons of the submitting process.
        arguments: the command line as typed.
    """

    number: int
    overrides: list[str]
    config: DictConfig
    context: HydraContext
    task: TaskFunction
    state: dict[type, Singleton] = field(default_factory=Singleton.get_state)
    arguments: list[str] = field(default_factory=lambda: list(sys.argv))

    def __call__(self) -> JobReturn:
        """Trains; if interrupted, saves a checkpoint and, after SIGUSR1, requeues the job."""
        self._set_up_process()
        requeue = signal.getsignal(PREEMPTION)  # submitit's handler, which training replaces
        signal.signal(signal.SIGTERM, _stop)
        try:
            return self._run()
        except (InterruptionError, KeyboardInterrupt) as error:
            cause = error if isinstance(error, InterruptionError) else error.__cause__
            code = getattr(cause, "exit_code", 130)
            if code == 128 + PREEMPTION and callable(requeue):
                requeue(PREEMPTION, None)  # exits this process, except on the job's other tasks
            # The scheduler itself restarts the job, which then must not return a result.
            raise SystemExit(code) from error

    def checkpoint(self) -> Any:
        """Returns the same job for submitit to requeue; it resumes in its run folder."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _set_up_process(self) -> None:
        readable_streams()
        sys.argv = list(self.arguments)

    def _run(self) -> JobReturn:
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher  # type: ignore[import-untyped]

        hydra: Any = submitit_launcher.BaseSubmititLauncher()
        hydra.setup(hydra_context=self.context, task_function=self.task, config=self.config)
        done: JobReturn = hydra(
            self.overrides, "hydra.sweep.dir", self.number, str(self.number), self.state
        )
        return done


def result_of(job: Any, number: int) -> JobReturn:
    """Returns the result of a job; if its process was killed, a failed result."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        done: JobReturn = job.results()[0]
        return done
    except (FailedJobError, UncompletedJobError) as error:
        lines = [line for line in str(error).splitlines() if line.strip("- ")]
        reason = lines[-3] if isinstance(error, FailedJobError) and len(lines) > 3 else lines[0]
        return failed(RunError(f"job {number}: {reason}; its output is in {job.paths.stderr}"))


def failed(error: Exception) -> JobReturn:
    """Returns Hydra's result for a job that ended with an error."""
    return JobReturn(status=JobStatus.FAILED, _return_value=error)


def _stop(number: int, frame: FrameType | None) -> None:
    # submitit ignores SIGTERM. During training the run's own handler is active instead.
    raise InterruptionError(f"interrupted by {signal.Signals(number).name}", number)
