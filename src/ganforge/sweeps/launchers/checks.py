"""Checks of the launcher's requirements, run before a sweep's folder is created."""

from __future__ import annotations

import importlib.util
import shutil

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ganforge.errors import ConfigError, install

OWN = "hydra_plugins.ganforge_launchers.launchers."
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
OPTIONS = {
    f"{OWN}AutoLauncher": "auto",
    f"{OWN}LocalProcessesLauncher": "local_processes",
    f"{OWN}SlurmLauncher": "slurm",
    BASIC: "basic",
}
AUTOMATIC = ("parallel", "jobs", "gpus", "gpus_per_job", "threads")
ON_THIS_MACHINE = ("auto", "basic", "local_processes")


def option_of(launcher: DictConfig) -> str | None:
    """Returns the option name of a launcher: Hydra's own or one of ganforge's; None for others."""
    return OPTIONS.get(str(launcher.get("_target_", "")))


def in_turn(config: DictConfig) -> bool:
    """Whether single jobs run in this process."""
    return option_of(config.hydra.launcher) in ("auto", "basic")


def check_launcher(launcher: DictConfig) -> None:
    """Checks that a launcher's requirements are installed and its settings are valid.

    Raises:
        ConfigError: naming what is missing or invalid.
    """
    option = option_of(launcher)
    if option is None:
        return
    if option == "slurm":
        _check_slurm()
    _check_numbers(launcher)


def _check_slurm() -> None:
    for key in ("submitit", "hydra_plugins.hydra_submitit_launcher"):
        if importlib.util.find_spec(key) is None:
            raise ConfigError(
                f"hydra/launcher=slurm needs hydra-submitit-launcher: {install('slurm')}"
            )
    if None in (shutil.which("sbatch"), shutil.which("srun")):
        raise ConfigError(
            "hydra/launcher=slurm: sbatch and srun are not available. Run this on a login node of "
            "the cluster, or use hydra/launcher=local_processes"
        )


def refuse_idle_launcher() -> None:
    """Refuses a launcher in a single run, where Hydra would silently ignore it.

    Raises:
        ConfigError: stating that ``-m`` is needed.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.RUN:
        return
    option = option_of(HydraConfig.get().launcher)
    if option in ("local_processes", "slurm"):
        raise ConfigError(
            f"hydra/launcher={option} launches the jobs of a sweep: add -m, even for a single job"
        )


def _check_numbers(launcher: DictConfig) -> None:
    least = {"nodes": 1, "tasks_per_node": 1, "timeout_min": 1, "array_parallelism": 1}
    least |= {"gpus_per_job": 0, "gpus_per_node": 0, "signal_delay_s": 0, "max_num_timeout": 0}
    least |= {"parallel": 1, "jobs": 1, "threads": 1, "cpus_per_task": 1, "mem_gb": 1, "gpus": 0}
    for key, smallest in least.items():
        value = launcher.get(key)
        if value is None or (value == "auto" and key in AUTOMATIC):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
            raise ConfigError(
                f"hydra.launcher.{key} must be a whole number from {smallest}"
                f"{' or auto' if key in AUTOMATIC else ''}, got {value!r}"
            )
    if "timeout_min" in launcher and launcher.signal_delay_s >= 60 * launcher.timeout_min:
        raise ConfigError(
            f"hydra.launcher.signal_delay_s={launcher.signal_delay_s} must be less than the "
            f"{launcher.timeout_min} minutes of timeout_min"
        )
