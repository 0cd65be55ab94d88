"""Searches: parses the command line, checks the trials, creates the folder and runs the search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from ganforge.config.check import check, check_root, did_you_mean
from ganforge.console import setup_logging
from ganforge.errors import ConfigError, RunError
from ganforge.paths import typed_path
from ganforge.runs.load import build
from ganforge.runs.lock import is_locked, locked
from ganforge.runs.sweep_record import SweepRecord, find_sweeps
from ganforge.search.job import require_search
from ganforge.search.loop import SearchRun
from ganforge.search.overrides import SearchPlan, read_plan
from ganforge.search.report import report
from ganforge.search.settings import Search
from ganforge.search.storage import Storage, require
from ganforge.search.study import SharedStudy
from ganforge.sweeps.checks import check_jobs
from ganforge.sweeps.grid import new_record, set_folder, ways_to_train
from ganforge.sweeps.launchers.checks import check_launcher, in_turn, option_of
from ganforge.sweeps.plan import Plan, split_resume
from ganforge.sweeps.resume import newest_unfinished, not_running, published, read_sweep

# Overrides that may differ between workers of a study, or when a search is resumed.
FREE = ("tune.", "resume", "log_dir", "logger", "tags", "notes", "hydra", "trainer.devices")
NUMBERS = ("seconds", "images_per_second", "step", "images_seen")


def sweep_search(
    arguments: list[str], config: DictConfig, context: HydraContext, task: TaskFunction
) -> float:
    """Runs a search, resumes one, or joins a study that other workers share.

    All checks run before a folder is created.

    Args:
        arguments: overrides as typed.
        config: Hydra's configuration of the search; its folder is set here.
        context: Hydra's context, which holds the config loader.
        task: the function that Hydra calls for each trial.

    Returns:
        The best value of the first objective.

    Raises:
        GanforgeError: with a message for the user; RunError if no trial was completed.
    """
    setup_logging()
    require()
    search = _search(config)
    parser = OverridesParser.create(config_loader=context.config_loader)
    check_launcher(config.hydra.launcher)
    sweep = config.hydra.sweep
    if OmegaConf.is_interpolation(sweep, "subdir") or sweep.subdir != ".":
        raise ConfigError("hydra.sweep.subdir: not for a search, which names its trials' folders")
    typed, resume = split_resume(arguments, parser)
    plan = read_plan(search.space, typed, parser)
    search.sampler.check(plan.space)
    devices = _check(plan, config, context)
    _check_launcher(search, config)
    former = find_search(resume, typed, search, typed_path(config.log_dir))
    # Opened before the folder is created, so that an unreachable server leaves no folder behind.
    server = Storage(search.storage, search.beat_seconds) if search.storage is not None else None
    record = former if former is not None else new_record("search", typed, config, [])
    with locked(record.path), _removed_unless_begun(record, new=former is None):
        storage = server or Storage(str(record.path / "study.log"), search.beat_seconds)
        study = _study(search, plan, storage, record)
        set_folder(config, record.path)
        launch, train_apart = ways_to_train(config, context, task)
        apart = train_apart if devices > 1 and search.n_jobs == 1 and in_turn(config) else None
        try:
            SearchRun(study, record, plan.fixed, launch, apart).run()
        finally:
            report(study, record)
    return _best_value(study, record)


def _best_value(study: SharedStudy, record: SweepRecord) -> float:
    """Returns the best value of the first objective; raises RunError if no trial was completed."""
    if (best := study.best()) is None:
        reasons = [f": {job.error}" for job in record.jobs if job.error]
        raise RunError(f"no trial of {record.path} was completed{''.join(reasons[:1])}")
    return float(best.values[0])


def _search(config: DictConfig) -> Search:
    check_root(
        OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), "train"
    )
    require_search(config)
    check(OmegaConf.create({"tune": OmegaConf.to_container(config.tune, resolve=True)}))
    search: Search = build(config.tune)
    if search.trial is not None:
        raise ConfigError(f"tune.trial={search.trial}: the search sets it for its trials")
    known = [*config.metrics, *NUMBERS]
    for name in search.objectives:
        if name not in known and not any(name.startswith(f"{key}_") for key in config.metrics):
            hint = did_you_mean(name, known)
            raise ConfigError(f"tune.objectives.{name}: no such number; {hint}")
    return search


def _check(plan: SearchPlan, config: DictConfig, context: HydraContext) -> int:
    """Composes and checks probe trials; returns the largest number of processes of any trial.

    The probes cover every choice and the limits of every number.
    """
    probes = [Plan((*plan.fixed, *probe), probe) for probe in plan.probes()]
    checked = check_jobs(probes, config, context)
    if any(job.dry_run for job in checked):
        raise ConfigError("dry_run=true yields no scores to search by; use it without tune=")
    return max(job.devices for job in checked)


def _check_launcher(search: Search, config: DictConfig) -> None:
    if option_of(config.hydra.launcher) == "basic" and search.n_jobs > 1:
        raise ConfigError(
            f"tune.n_jobs={search.n_jobs}: hydra/launcher=basic runs one trial after the other. "
            "Use hydra/launcher=auto, local_processes or slurm, or start this command several "
            "times with the same tune.storage and tune.study"
        )


@contextlib.contextmanager
def _removed_unless_begun(record: SweepRecord, new: bool) -> Iterator[None]:
    """Removes the folder of a new search that fails before its first trial."""
    try:
        yield
    except BaseException:
        if new and not record.jobs:
            for name in ("sweep.json", "study.log", ".lock"):
                (record.path / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                record.path.rmdir()
                record.path.parent.rmdir()
        raise


def _study(search: Search, plan: SearchPlan, storage: Storage, record: SweepRecord) -> SharedStudy:
    shared = [o for o in plan.fixed if not o.lstrip("+~").startswith(FREE)]
    name = search.study or _name(storage, record)
    study = SharedStudy(
        search,
        plan.space,
        storage,
        name,
        terms={"overrides": sorted(shared), "value": search.value},
        owner=str(record.path),
        alive=lambda folder: bool(folder) and is_locked(Path(folder)),
    )
    study.take_back()
    record.status = "running"
    record.write()
    return study


def _name(storage: Storage, record: SweepRecord) -> str:
    """Returns the name of a search's study: the one stored in its own file, else its folder's.

    The stored name is used first because the folder may have been moved since.
    """
    own = storage.file == record.path / "study.log"
    known = [study.study_name for study in storage.optuna.get_all_studies()] if own else []
    return known[0] if known else f"{record.path.parent.name}-{record.path.name}"


def find_search(
    resume: str | None, typed: list[str], search: Search, log_dir: Path
) -> SweepRecord | None:
    """Returns the search to resume, or None to start a new one.

    Args:
        resume: "auto" for the newest search with the same overrides that is not running and has
            trials left; otherwise the folder of a search.
        typed: overrides without ``resume=``. The numbers of trials and jobs may have changed.
        search: settings of the search.
        log_dir: root of all outputs.

    Raises:
        ConfigError: if the folder holds a search with other overrides, or no search.
        RunError: if there is no such folder, or the search is running.
    """
    if resume is None:
        return None
    if resume == "auto":
        same = [record for record in find_sweeps(log_dir) if _is_same(record, typed)]
        return newest_unfinished(
            same, lambda r: r.status == "completed" and len(r.jobs) >= search.n_trials, log_dir
        )
    record = read_sweep(resume)
    if not _is_same(record, typed):
        raise ConfigError(
            f"{record.path}: a {record.kind} with other overrides ({' '.join(record.overrides)}). "
            "Resume a search with the overrides it was started with"
        )
    return not_running(record)


def _is_same(record: SweepRecord, typed: list[str]) -> bool:
    return record.kind == "search" and _terms(record.overrides) == _terms(typed)


def _terms(overrides: list[str]) -> list[str]:
    free = ("tune.n_trials=", "tune.n_jobs=", "tune.beat_seconds=")
    return sorted(published(word) for word in overrides if not word.startswith(free))
