"""Hydra plugins for the launchers of ganforge.sweeps.

Hydra imports this file at every start, so imports of ganforge.sweeps are deferred to the methods.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _LocalLauncher(BasicLauncher):
    """Runs a single job in this process, as Hydra does, and several in processes of their own.

    A grid sweep runs its jobs itself, with the same settings; this is for other sweepers.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Stores Hydra's context, after checking the launcher's settings."""
        from ganforge.sweeps.launchers.checks import check_launcher

        check_launcher(config.hydra.launcher)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Runs the jobs, waits for them and returns their results."""
        from ganforge.sweeps.launchers.checks import option_of
        from ganforge.sweeps.launchers.settings import run_beside

        assert self.config is not None
        single = len(job_overrides) == 1 and option_of(self.config.hydra.launcher) == "auto"
        if single:
            return super().launch(job_overrides, initial_job_idx)
        return run_beside(self.config, [list(one) for one in job_overrides], initial_job_idx)


class LocalProcessesLauncher(_LocalLauncher):
    """Runs the jobs of a sweep side by side on this machine, each in a separate process.

    ``ganforge.sweeps.launchers.settings`` reads the arguments from the configuration.

    Args:
        parallel: number of jobs at a time; "auto" for one per GPU, or on the CPU as many as there
            are free cores and memory.
        gpus: number of GPUs of this machine to use; "auto" for all, 0 for none.
        gpus_per_job: GPUs visible to a job, not shared with other jobs; "auto" for as many as
            ``trainer.devices``; 0 leaves all GPUs visible to every job.
        threads: CPU threads per process; "auto" for an equal share of the free cores.
        timeout_min: minutes after which a job is stopped with a checkpoint and restarted.
        signal_delay_s: seconds the job has to save the checkpoint.
        max_num_timeout: maximum number of restarts.
    """

    def __init__(
        self,
        parallel: int | str = "auto",
        gpus: int | str = "auto",
        gpus_per_job: int | str = "auto",
        threads: int | str = "auto",
        timeout_min: int = 525600,
        signal_delay_s: int = 120,
        max_num_timeout: int = 5,
    ) -> None:
        self.parallel = parallel


class AutoLauncher(_LocalLauncher):
    """Runs the jobs of a sweep side by side where that is faster, else one by one in this process.

    ``ganforge.sweeps.launchers.settings`` reads the arguments from the configuration.

    Args:
        jobs: number of jobs at a time; "auto" for one per GPU, or on the CPU as many as there are
            free cores and memory; 1 for one by one in this process.
        gpus: number of GPUs of this machine to use; "auto" for all, 0 for none.
        threads: CPU threads per process; "auto" for an equal share of the free cores.
    """

    def __init__(
        self, jobs: int | str = "auto", gpus: int | str = "auto", threads: int | str = "auto"
    ) -> None:
        self.jobs = jobs


class SlurmLauncher(Launcher):
    """Submits the jobs of a sweep to SLURM and waits for them.

    The arguments are options of sbatch, with the names used by hydra-submitit-launcher.

    Args:
        partition: SLURM partition.
        account: account charged for the jobs.
        qos: quality of service.
        constraint: features that nodes must have.
        nodes: nodes per job.
        tasks_per_node: 1, so that the run starts one process per GPU; or one task per GPU.
        gpus_per_node: GPUs per node.
        cpus_per_task: cores per task.
        mem_gb: memory per node.
        timeout_min: time limit of a job in minutes; before it, the job saves and is requeued.
        signal_delay_s: seconds before the limit at which SLURM sends SIGUSR1.
        max_num_timeout: maximum number of requeues after the time limit.
        array_parallelism: maximum number of jobs at the same time.
        setup: shell commands that run before a job, such as loading modules.
        additional_parameters: further sbatch options by name.
        name: name of the jobs.
        submitit_folder: folder for scripts and outputs, shared by all nodes.
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
            # SLURM requeues preempted jobs itself. If one task fails, srun must end the others.
            "slurm_additional_parameters": {"requeue": True} | further,
            "slurm_srun_args": ["--kill-on-bad-exit=1"],
        }

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Stores Hydra's context, after checking the launcher's settings and dependencies."""
        from ganforge.sweeps.launchers.checks import check_launcher

        check_launcher(config.hydra.launcher)
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Submits the jobs, waits for them and returns their results."""
        from ganforge.sweeps.launchers.job import SubmittedJob
        from ganforge.sweeps.launchers.slurm import SlurmJobs

        jobs = [
            SubmittedJob(number, list(overrides), self.config, self.context, self.task)
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]
        return SlurmJobs(self.folder, self.parameters, self.max_num_timeout).run(jobs)
