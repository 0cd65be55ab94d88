"""Composes and checks every job of a sweep before the first one starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from ganforge.config.check import check, check_root
from ganforge.config.explanations import explain
from ganforge.config.values import check_name
from ganforge.errors import ConfigError, DataError
from ganforge.runs.classes import name_classes
from ganforge.runs.costs import check_costs
from ganforge.runs.load import build
from ganforge.runs.stored.settling import settle
from ganforge.runs.stored.trust import is_own, targets
from ganforge.sweeps.launchers.checks import ON_THIS_MACHINE, option_of
from ganforge.sweeps.launchers.places import Need
from ganforge.sweeps.launchers.settings import hardware_of
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.trust import Vet

# Groups whose parts are built, so that they check their arguments. Networks are left out because
# initializing them takes seconds; so is everything that needs data.
GROUPS = ("loss", "regularizer", "augment", "schedule")
OPTIMIZERS = "optimizer"
SHOWN = 3  # jobs named per fault: identical faults are reported once


@dataclass(frozen=True)
class Checked:
    """Properties of a job's configuration that the sweep needs.

    Attributes:
        devices: number of processes that the job trains in, if it has the machine to itself.
        need: the part of the machine that the job needs.
        dry_run: whether the job is a dry run, which leaves no folder.
        subdir: folder name from hydra.sweep.subdir; None for the sweep's default name.
    """

    devices: int
    need: Need
    dry_run: bool
    subdir: str | None = None


def runs_here(config: DictConfig) -> bool:
    """Whether Hydra's launcher runs the jobs on this machine."""
    return option_of(config.hydra.launcher) in ON_THIS_MACHINE


def check_jobs(
    plans: list[Plan], config: DictConfig, context: HydraContext, vet: Vet | None = None
) -> list[Checked]:
    """Composes and checks the configuration of every job; builds no network and reads no image.

    Args:
        plans: the jobs.
        config: Hydra's configuration of the sweep. If its launcher runs the jobs on this machine,
            its devices are checked, too.
        context: Hydra's context, which holds the config loader.
        vet: checks configurations composed from stored overrides; None for typed overrides.

    Raises:
        ConfigError: listing every fault and the jobs that have it.
    """
    checked, faults = [], dict[str, list[str]]()
    classes: dict[str, list[str]] = {}  # class names by data set, read once for all jobs
    sound: set[str] = set()  # parts that an earlier job has already built
    for number, plan in enumerate(plans):
        try:
            cfg = context.config_loader.load_sweep_config(config, list(plan.overrides))
            checked.append(_check(cfg, number, runs_here(config), classes, vet))
            check_parts(cfg, sound)
        except Exception as error:
            ours = isinstance(error, (ConfigError, DataError))
            message = str(error) if ours else explain(error, "train", list(plan.overrides))
            if message is None:
                raise
            faults.setdefault(message, []).append(f"job {number} ({','.join(plan.swept)})")
    if faults:
        lines = [f"{_listed(jobs, len(plans))}: {message}" for message, jobs in faults.items()]
        raise ConfigError("no job was started.\n" + "\n".join(lines))
    return checked


def _check(
    cfg: DictConfig, number: int, here: bool, classes: dict[str, list[str]], vet: Vet | None
) -> Checked:
    """Runs the checks that the job itself will run, and resolves its hardware."""
    former = HydraConfig.instance().cfg
    # Run names interpolate Hydra's choices, which are read from this singleton.
    HydraConfig.instance().set_config(cfg)
    try:
        subdir = _subdir(cfg, number)
        with open_dict(cfg):
            del cfg["hydra"]
        check_root(cfg, "train")
        settle(cfg)
        if vet is not None:
            vet(cfg)
        check_name(str(cfg.name))
        name_classes(cfg, classes)
        check(cfg)
        check_costs(cfg)
        devices, need = hardware_of(cfg) if here else (1, Need())
        return Checked(devices, need, bool(cfg.dry_run), subdir)
    finally:
        HydraConfig.instance().cfg = former


def _subdir(cfg: DictConfig, number: int) -> str | None:
    with read_write(cfg.hydra), open_dict(cfg.hydra):
        cfg.hydra.job.num = number
    text = str(cfg.hydra.sweep.subdir).replace("/", "_")
    if text == ".":
        return None
    check_name(text)
    return text


def _listed(jobs: list[str], number: int) -> str:
    if len(jobs) == number:
        return "all jobs" if number > 1 else jobs[0]
    more = f" and {len(jobs) - SHOWN} more" if len(jobs) > SHOWN else ""
    return ", ".join(jobs[:SHOWN]) + more


def check_parts(cfg: DictConfig, sound: set[str]) -> None:
    """Builds the loss, regularizers, augmentation, schedules and optimizers of a configuration.

    Args:
        cfg: configuration of a job, composed and checked.
        sound: the parts, as text, that earlier jobs have built; updated with the parts of this job.

    Raises:
        ConfigError: if a part rejects its arguments.
    """
    for group in (*GROUPS, OPTIMIZERS):
        node: Any = cfg.get(group)
        if not isinstance(node, DictConfig):
            continue
        plain = OmegaConf.to_container(node, resolve=True)
        text = f"{group}: {plain}"
        # A part of the user's own may need the job's machine.
        if text in sound or not all(is_own(target) for _, target in targets(plain)):
            continue
        try:
            _build(group, plain)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{group}: {error}") from error
        sound.add(text)


def _build(group: str, plain: Any) -> None:
    built = build(plain)
    if group == OPTIMIZERS:
        for make in filter(None, built.values()):
            make([torch.nn.Parameter(torch.zeros(2, 2))])  # some take matrices only
