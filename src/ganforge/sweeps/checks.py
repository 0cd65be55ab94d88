"""Composes and checks every job of a sweep before the first one starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from ganforge.config.check import check, check_root
from ganforge.config.compose import explain
from ganforge.config.names import check_name
from ganforge.errors import ConfigError, DataError
from ganforge.runs.classes import name_classes
from ganforge.runs.costs import check_costs
from ganforge.runs.load import build
from ganforge.runs.stored.settling import settle
from ganforge.sweeps.part_checks import check_parts
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.trust import Vet

SHOWN = 3  # jobs named per fault: identical faults are reported once


@dataclass(frozen=True)
class Checked:
    """Properties of a job's configuration that the sweep needs.

    Attributes:
        devices: number of processes that the job trains in.
        dry_run: whether the job is a dry run, which leaves no folder.
        subdir: folder name from hydra.sweep.subdir; None for the sweep's default name.
    """

    devices: int
    dry_run: bool
    subdir: str | None = None


def check_jobs(
    plans: list[Plan],
    compose: Callable[[list[str]], DictConfig],
    here: bool,
    vet: Vet | None = None,
) -> list[Checked]:
    """Composes and checks the configuration of every job; builds no network and reads no image.

    Args:
        plans: the jobs.
        compose: returns a job's configuration, including the ``hydra`` node.
        here: whether jobs run on this machine, so that its devices are checked.
        vet: checks configurations composed from stored overrides; None for typed overrides.

    Raises:
        ConfigError: listing every fault and the jobs that have it.
    """
    checked, faults = [], dict[str, list[str]]()
    found: dict[str, list[str]] = {}  # class names by data set, read once for all jobs
    sound: set[str] = set()  # parts that an earlier job has already built
    for number, plan in enumerate(plans):
        try:
            cfg = compose(list(plan.overrides))
            checked.append(_check(cfg, number, here, found, vet))
            check_parts(cfg, sound)
        except Exception as error:
            message = _message(error, plan)
            if message is None:
                raise
            faults.setdefault(message, []).append(f"job {number} ({','.join(plan.swept)})")
    if faults:
        lines = [f"{_listed(jobs, len(plans))}: {message}" for message, jobs in faults.items()]
        raise ConfigError("no job was started.\n" + "\n".join(lines))
    return checked


def _check(
    cfg: DictConfig, number: int, here: bool, found: dict[str, list[str]], vet: Vet | None
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
        name_classes(cfg, found)
        check(cfg)
        check_costs(cfg)
        devices = build(cfg.trainer).hardware().devices if here else 1
        return Checked(int(devices), bool(cfg.dry_run), subdir)
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


def _message(error: Exception, plan: Plan) -> str | None:
    if isinstance(error, (ConfigError, DataError)):
        return str(error)
    return explain(error, "train", list(plan.overrides))


def _listed(jobs: list[str], number: int) -> str:
    if len(jobs) == number:
        return "all jobs" if number > 1 else jobs[0]
    more = f" and {len(jobs) - SHOWN} more" if len(jobs) > SHOWN else ""
    return ", ".join(jobs[:SHOWN]) + more
