"""Grid sweeps: parses the command line, checks every job, creates the folder and runs the jobs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from ganforge.config.job_names import FILE, job_folder
from ganforge.config.quoting import quoted
from ganforge.errors import ConfigError, RunError
from ganforge.paths import typed_path
from ganforge.redaction import training_line
from ganforge.runs.lock import LOCK, locked
from ganforge.runs.stored.settling import resolved_override
from ganforge.runs.sweep_record import Job, Kind, SweepRecord
from ganforge.sweeps.checks import Checked, check_jobs, runs_here
from ganforge.sweeps.launchers.checks import check_launcher
from ganforge.sweeps.launchers.settings import adjusted, local_jobs
from ganforge.sweeps.plan import Plan, plan_grid, split_resume
from ganforge.sweeps.process import search_path_flags, train_in_process
from ganforge.sweeps.resume import find_sweep, identity_of, match_jobs, published
from ganforge.sweeps.runner import Launch, SweepRun, TrainInProcess
from ganforge.sweeps.trust import (
    Vet,
    is_permission,
    keeps_outputs_in_place,
    key_of,
    vetting,
    without_permissions,
)


def sweep_grid(
    arguments: list[str],
    config: DictConfig,
    context: HydraContext,
    task: TaskFunction,
    batch_size: int | None = None,
) -> list[float | None]:
    """Runs a grid sweep, or resumes an unfinished one.

    All checks run before a folder is created.

    Args:
        arguments: overrides as typed.
        config: Hydra's configuration of the sweep; its folder is set here.
        context: Hydra's context, which holds the config loader.
        task: the function that Hydra calls for each job.
        batch_size: maximum number of jobs at a time of a parallel launcher; None for all.

    Returns:
        The best value of the monitored score of every job; None for a job without scores.

    Raises:
        GanforgeError: with a message for the user; RunError at the end if a job failed.
    """
    parser = OverridesParser.create(config_loader=context.config_loader)
    check_launcher(config.hydra.launcher)
    typed, resume = split_resume(arguments, parser)
    typed = [resolved_override(override) for override in typed]
    former = find_sweep(resume, typed, typed_path(config.log_dir))
    overrides, vet = typed, None
    if former is not None:
        overrides, vet = _resumed(former, typed, parser, config.trust)
    plans = plan_grid(overrides, parser)
    checked = check_jobs(plans, config, context, vet)
    kept = not all(job.dry_run for job in checked)
    if former is not None:
        match_jobs(former, plans)
    needs = adjusted([job.need for job in checked], config.hydra.launcher)
    # Counted for all jobs, not only for those left, so that a resumed job has as many threads.
    beside = local_jobs(config, needs, batch_size) if kept else None
    record = former if former is not None else _new_record(typed, plans, config, checked, kept)
    with locked(record.path) if kept else _leaving_nothing(record.path, typed_path(config.log_dir)):
        set_folder(config, record.path)
        launch, train_apart = ways_to_train(config, context, task)
        apart = {n for n, job in enumerate(checked) if job.devices > 1 and not job.dry_run}
        at_once = None if runs_here(config) else batch_size or len(plans)
        gpus = [need.gpus for need in needs]
        sweep = SweepRun(record, plans, launch, train_apart, apart, at_once, kept, beside, gpus)
        return sweep.run()


def _resumed(
    former: SweepRecord, typed: list[str], parser: OverridesParser, trust: Any
) -> tuple[list[str], Vet | None]:
    """Returns the overrides of a resumed sweep, and how its jobs are vetted if none are typed."""
    source = former.path / FILE
    stored = without_permissions(former.overrides, parser, source)
    stored = [o for o in stored if keeps_outputs_in_place(o, former.path)]
    vet = None if identity_of(typed) else vetting(stored, source, trust)
    return [*stored, *(o for o in typed if is_permission(o) or key_of(o) == "dry_run")], vet


def _new_record(
    typed: list[str], plans: list[Plan], config: DictConfig, checked: list[Checked], kept: bool
) -> SweepRecord:
    """Creates a sweep's folder and record; the folder is unique even within the same second."""
    names = [
        job.subdir or job_folder(number, list(plan.swept))
        for number, (plan, job) in enumerate(zip(plans, checked, strict=True))
    ]
    if len(set(names)) < len(names):
        raise ConfigError(
            "hydra.sweep.subdir: several jobs would share a folder; include ${hydra.job.num}"
        )
    jobs = [Job(n, [*map(published, plan.swept)], names[n]) for n, plan in enumerate(plans)]
    return new_record("grid", typed, config, jobs, kept)


def new_record(
    kind: Kind, typed: list[str], config: DictConfig, jobs: list[Job], kept: bool = True
) -> SweepRecord:
    """Returns the record of a new sweep; creates its folder and writes the record, if kept."""
    wanted = typed_path(config.hydra.sweep.dir).absolute()
    path = make_folder(wanted) if kept else wanted
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    command = training_line(sys.argv)
    record = SweepRecord(path, kind, command, [*map(published, typed)], started, jobs=jobs)
    if kept:
        record.write()
    return record


def make_folder(wanted: Path) -> Path:
    """Creates a sweep's folder; a number is appended to the name if the folder is in use.

    Returns:
        The folder with symbolic links resolved, the same path that a resume finds.

    Raises:
        RunError: if no folder can be created.
    """
    for attempt in range(1, 100):
        path = wanted if attempt == 1 else wanted.with_name(f"{wanted.name}-{attempt}")
        try:
            path.mkdir(parents=True, exist_ok=attempt == 1)
            if _claim(path):
                return path.resolve()
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(
                f"cannot create the sweep folder {path} ({error.strerror or error}); "
                "choose another with log_dir=PATH"
            ) from error
    raise RunError(f"cannot create a sweep folder next to {path}")


def _claim(path: Path) -> bool:
    """Claims an empty folder atomically; at most one concurrent caller succeeds."""
    lock = path / LOCK
    try:
        lock.touch(exist_ok=False)  # O_EXCL: fails if another process has created the file
    except FileExistsError:
        return False
    if any(item != lock for item in path.iterdir()):
        lock.unlink()
        return False
    return True


def set_folder(config: DictConfig, path: Path) -> None:
    """Sets the sweep's folder in Hydra, for this process and for job processes that recompose it.

    The subfolder is "." because the record sets the jobs' folders; otherwise Hydra's launchers
    would create an additional empty folder per job.
    """
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir, config.hydra.sweep.subdir = str(path), "."
        overrides = [f"hydra.sweep.dir={quoted(path)}", "hydra.sweep.subdir=."]
        config.hydra.overrides.hydra.extend(overrides)


def ways_to_train(
    config: DictConfig, context: HydraContext, task: TaskFunction
) -> tuple[Launch, TrainInProcess]:
    """Returns two functions that train jobs: through Hydra's launcher, and in a process each."""
    launcher: Any = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=task, config=config
    )
    flags = search_path_flags(config)
    return launcher.launch, lambda overrides: train_in_process(overrides, flags)


@contextlib.contextmanager
def _leaving_nothing(path: Path, log_dir: Path) -> Iterator[None]:
    """Removes the empty folders that a launcher creates for a sweep of dry runs."""
    try:
        yield
    finally:
        for folder in (path, *path.parents):
            if not folder.is_relative_to(log_dir.absolute()):
                break
            with contextlib.suppress(OSError):  # not empty: it holds other runs
                folder.rmdir()
