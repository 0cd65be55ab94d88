"""Reads the settings of the launchers that run jobs on this machine."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from ganforge.compute.hardware import TrainerSettings
from ganforge.config.job_names import distinguishing, job_folder
from ganforge.config.quoting import quoted
from ganforge.paths import typed_path
from ganforge.runs.load import build
from ganforge.sweeps.launchers.checks import option_of
from ganforge.sweeps.launchers.local import OUTPUT, LocalJob, LocalJobs
from ganforge.sweeps.launchers.places import Need, Places, choose_places, pays
from ganforge.sweeps.process import search_path_flags


def hardware_of(cfg: DictConfig) -> tuple[int, Need]:
    """Returns the devices of a run that has this machine to itself, and what it needs.

    ``trainer.devices=auto`` takes one GPU in a sweep, unless ``trainer=ddp`` asks for all.

    Raises:
        ConfigError: if this machine does not have it.
    """
    settings: TrainerSettings = build(cfg.trainer)
    hardware = settings.hardware()
    several = settings.devices != "auto" or settings.strategy != "auto"
    threads = settings.threads if isinstance(settings.threads, int) else None
    timed, steps = settings.max_seconds is not None, settings.max_steps
    images = math.inf if steps == -1 else steps * int(cfg.data.get("batch_size") or 1)
    processes = hardware.devices if several else 1
    return hardware.devices, Need(hardware.accelerator, processes, threads, images, timed)


def adjusted(needs: list[Need], launcher: DictConfig) -> list[Need]:
    """Returns the needs of jobs, with ``hydra.launcher.gpus_per_job`` if it is a number."""
    each = launcher.get("gpus_per_job", "auto")
    if each == "auto" or each == 0:
        return needs
    return [replace(need, accelerator="cuda", processes=each) for need in needs]


def local_jobs(
    config: DictConfig, needs: list[Need], most: int | None = None, always: bool = False
) -> LocalJobs | None:
    """Returns what runs the jobs of a sweep side by side; None if the launcher runs them itself.

    Args:
        config: Hydra's configuration of the sweep.
        needs: what each job needs, adjusted to the launcher.
        most: maximum number of jobs at a time; None for no limit.
        always: run them in processes even if it takes longer than one after the other.

    Raises:
        ConfigError: if the machine has fewer GPUs than the launcher's settings or a job needs.
    """
    launcher = config.hydra.launcher
    option = option_of(launcher)
    if option not in ("auto", "local_processes"):
        return None
    jobs = launcher.jobs if option == "auto" else launcher.parallel
    if option == "auto" and jobs == 1 and not always:
        return None
    places = choose_places(needs, jobs, launcher.gpus, launcher.threads)
    if launcher.get("gpus_per_job") == 0:
        places = Places(places.at_once, None, variables=places.variables)
    places.at_once = min(places.at_once, most or places.at_once)
    asked = always or option == "local_processes" or jobs != "auto"
    if not asked and not pays(places, needs):
        return None
    flags = search_path_flags(config)
    if option == "auto":
        return LocalJobs(places, flags)
    return LocalJobs(
        places,
        flags,
        timeout=60.0 * launcher.timeout_min,
        grace=float(launcher.signal_delay_s),
        max_restarts=launcher.max_num_timeout,
    )


def run_beside(config: DictConfig, jobs: list[list[str]], first: int) -> list[JobReturn]:
    """Runs jobs side by side; returns their results, with the best score of each.

    A job without ``run_dir`` gets its folder in that of the sweep, as in Hydra's own process: a job
    that is restarted resumes there.

    Args:
        config: Hydra's configuration of the sweep; all jobs need the hardware that it sets.
        jobs: overrides of each job.
        first: number of the first job.
    """
    _, need = hardware_of(config)
    needs = adjusted([need] * len(jobs), config.hydra.launcher)
    local = local_jobs(config, needs, always=True)
    assert local is not None
    sweep = typed_path(str(config.hydra.sweep.dir)).absolute()
    return local.run(
        [
            local_job(number, overrides, needs[0].gpus, sweep)
            for number, overrides in enumerate(jobs, first)
        ]
    )


def local_job(number: int, overrides: list[str], gpus: int, sweep: Path) -> LocalJob:
    """Returns a job of another sweeper, with its run folder.

    Args:
        number: number of the job in the sweep.
        overrides: its overrides; with ``run_dir`` if the sweeper chooses its folder.
        gpus: number of GPUs that it needs.
        sweep: folder of the sweep.
    """
    given = [
        override.value()
        for override in OverridesParser.create().parse_overrides(overrides)
        if override.key_or_group == "run_dir"
    ]
    if given:
        run = typed_path(str(given[-1])).absolute()
    else:
        run = sweep / job_folder(number, distinguishing(overrides))
        overrides = [*overrides, f"run_dir={quoted(run)}"]
    return LocalJob(number, overrides, gpus, sweep / OUTPUT / f"{number}.log", run)
