"""Hydra's way to the launchers of ganforge.sweeps: it imports this file at each start."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _Submitting(Launcher):
    """Keeps what Hydra hands over until there are jobs."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Takes the sweep's configuration, and refuses what can't be launched here."""
        from ganforge.sweeps.launchers.checks import check_launcher

        check_launcher(config.hydra.launcher)
        self.context, self.task, self.config = hydra_context, task_function, config


class LocalProcessesLauncher(_Submitting):
    """Runs the jobs of a sweep side by side on this machine, each in a process of its own.

    Args:
        parallel: jobs at a time; "auto": one for ``gpus_per_job`` GPUs, or for 4 cores without.
        gpus_per_job: GPUs that a job sees, none of which another one sees at the same time.
        threads: CPU threads of a job; "auto": its share of the cores.
        timeout_min: minutes after which a job is stopped with a checkpoint, and started again.
        signal_delay_s: seconds that it has for that.
        max_num_timeout: how often it is started again.
        submitit_folder: for the output of jobs.
    """

    def __init__(
        self,
        parallel: int | str = "auto",
        gpus_per_job: int = 1,
        threads: int | str = "auto",
        timeout_min: int = 525600,
        signal_delay_s: int = 120,
        max_num_timeout: int = 5,
        submitit_folder: str = ".submitit",
    ) -> None:
        self.parallel = parallel
        self.gpus_per_job = gpus_per_job
        self.threads = threads
        self.timeout_min = timeout_min
        self.signal_delay_s = signal_delay_s
        self.max_num_timeout = max_num_timeout
        self.submitit_folder = submitit_folder

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Runs jobs; returns how each ended."""
        from ganforge.sweeps.launchers.job import jobs_of
        from ganforge.sweeps.launchers.local import LocalJobs, slots

        places = slots(self.parallel, self.gpus_per_job, self.threads, len(job_overrides))
        pool = LocalJobs(
            self.submitit_folder,
            places,
            self.timeout_min,
            self.signal_delay_s,
            self.max_num_timeout,
        )
        jobs = jobs_of(job_overrides, initial_job_idx, self.config, self.context, self.task)
        return pool.run(jobs)


class SlurmLauncher(_Submitting):
    """Submits the jobs of a sweep to SLURM, and waits for them.

    The arguments are sbatch's, under the names of hydra-submitit-launcher.

    Args:
        partition: where jobs wait.
        account: who pays.
        qos: quality of service.
        constraint: features that nodes must have.
        nodes: machines of a job.
        tasks_per_node: 1, whose run starts a process for each GPU; or one task for each GPU.
        gpus_per_node: GPUs on each machine.
        cpus_per_task: cores for each task.
        mem_gb: memory on each machine.
        timeout_min: minutes after which SLURM ends a job; before that it saves and is requeued.
        signal_delay_s: seconds before the end at which it is told (SIGUSR1).
        max_num_timeout: how often it is requeued after its time was up.
        array_parallelism: jobs at a time.
        setup: shell lines before a job, such as those that load modules.
        additional_parameters: further options of sbatch, by name.
        name: name of the jobs.
        submitit_folder: for scripts and outputs, seen by all machines.
    """

    def __init__(
        self,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        nodes: int = 1,
        tasks_per_node: int = 1,
        gpus_per_node: int | None = 1,
        cpus_per_task: int | None = None,
        mem_gb: int | None = None,
        timeout_min: int = 240,
        signal_delay_s: int = 180,
        max_num_timeout: int = 100,
        array_parallelism: int = 256,
        setup: Sequence[str] | None = None,
        additional_parameters: DictConfig | None = None,
        name: str = "ganforge",
        submitit_folder: str = ".submitit",
    ) -> None:
        self.folder = submitit_folder
        self.max_num_timeout = max_num_timeout
        further = {str(key): value for key, value in (additional_parameters or {}).items()}
        self.parameters: dict[str, Any] = {
            "name": name,
            "nodes": nodes,
            "tasks_per_node": tasks_per_node,
            "gpus_per_node": gpus_per_node,
            "cpus_per_task": cpus_per_task,
            "mem_gb": mem_gb,
            "timeout_min": timeout_min,
            "slurm_partition": partition,
            "slurm_account": account,
            "slurm_qos": qos,
            "slurm_constraint": constraint,
            "slurm_signal_delay_s": signal_delay_s,
            "slurm_array_parallelism": array_parallelism,
            "slurm_setup": list(setup) if setup else None,
            # A preempted job is SLURM's to requeue; a lost process must end those beside it.
            "slurm_additional_parameters": {"requeue": True} | further,
            "slurm_srun_args": ["--kill-on-bad-exit=1"],
        }

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Submits jobs, as one array; returns how each ended."""
        from ganforge.sweeps.launchers.job import jobs_of
        from ganforge.sweeps.launchers.slurm import SlurmJobs

        pool = SlurmJobs(self.folder, self.parameters, self.max_num_timeout)
        jobs = jobs_of(job_overrides, initial_job_idx, self.config, self.context, self.task)
        return pool.run(jobs)
