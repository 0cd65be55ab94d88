"""The jobs of a sweep, with or without a run folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ganforge.compare.groups import distinguishing_keys
from ganforge.config.job_names import FILE
from ganforge.errors import RunError
from ganforge.paths import typed_path
from ganforge.runs.past import PastRun, find_runs
from ganforge.runs.sweep_record import SweepRecord

log = logging.getLogger("ganforge")

# Prefix of the overrides that a search passes to its jobs; they are not settings of a job.
SEARCH_PREFIX = "tune."


@dataclass(frozen=True)
class SweptJob:
    """A job of a sweep, or one of several runs.

    Attributes:
        name: name of the run folder.
        settings: settings in which the job differs from the others, by key.
        status: completed, running, killed, interrupted, failed, pruned, pending, skipped or
            unreadable.
        error: error that ended the job; "" if there was none.
        run: the run; None if there is no readable run folder.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    status: str = "unknown"
    error: str = ""
    run: PastRun | None = None

    @property
    def number(self) -> str:
        """The job number from the folder name; the whole name if it has no number."""
        first, dash, _ = self.name.partition("-")
        return first if dash and first.isdecimal() and len(first) < 6 else self.name

    @property
    def label(self) -> str:
        """The settings as ``key=value`` pairs; the name if there are none."""
        return ", ".join(f"{key}={value}" for key, value in self.settings.items()) or self.name


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep, or a set of runs chosen by the user.

    Attributes:
        jobs: jobs in the order of the sweep, else of the folders.
        record: the sweep's own record; None for runs chosen by the user.
        folders: the run folders, including unreadable ones.
    """

    jobs: list[SweptJob]
    record: SweepRecord | None
    folders: list[Path]

    @classmethod
    def read(cls, patterns: list[str]) -> Sweep:
        """Reads a sweep from its folder, or from the runs that match.

        Args:
            patterns: a sweep folder, or run folders and patterns.

        Raises:
            RunError: if there is neither a run nor a sweep.
        """
        record = _record(patterns)
        folders = [] if record is not None and not _any_run(patterns) else find_runs(patterns)
        runs, damaged = _read(folders)
        jobs = _recorded(record, runs, damaged) if record else _unrecorded(runs, damaged)
        return cls(_differing(jobs), record, folders)

    @property
    def runs(self) -> list[PastRun]:
        """The runs whose folders could be read."""
        return [job.run for job in self.jobs if job.run is not None]


def _record(patterns: list[str]) -> SweepRecord | None:
    folder = typed_path(patterns[0])
    if len(patterns) > 1 or not (folder / FILE).is_file():
        return None
    try:
        return SweepRecord.read(folder.resolve())
    except RunError as error:  # the runs are readable without the record
        log.warning("%s", error)
        return None


def _any_run(patterns: list[str]) -> bool:
    try:
        return bool(find_runs(patterns))
    except RunError:
        return False


def _read(folders: Iterable[Path]) -> tuple[dict[Path, PastRun], dict[Path, str]]:
    runs: dict[Path, PastRun] = {}
    damaged: dict[Path, str] = {}
    for folder in folders:
        try:
            runs[folder] = PastRun.read(folder)
        except RunError as error:
            damaged[folder] = str(error)
    return runs, damaged


def _recorded(
    record: SweepRecord, runs: dict[Path, PastRun], damaged: dict[Path, str]
) -> list[SweptJob]:
    jobs = []
    for job in record.jobs:
        settings, path = dict(map(_setting, job.overrides)), (record.path / job.folder).resolve()
        if (run := runs.get(path)) is not None:
            jobs.append(_job(run, settings))
        elif path in damaged:
            jobs.append(SweptJob(job.folder, settings, "unreadable", damaged[path]))
        else:
            jobs.append(SweptJob(job.folder, settings, job.status, job.error or ""))
    known = {(record.path / job.folder).resolve() for job in record.jobs}
    others = {path: run for path, run in runs.items() if path not in known}
    return jobs + [_job(run, {}) for run in others.values()]


def _unrecorded(runs: dict[Path, PastRun], damaged: dict[Path, str]) -> list[SweptJob]:
    keys = [*distinguishing_keys(list(runs.values())), "seed"]
    jobs = [
        _job(run, {k: v for k in keys if (v := run.setting(k)) is not None})
        for run in runs.values()
    ]
    return jobs + [SweptJob(path.name, {}, "unreadable", why) for path, why in damaged.items()]


def _job(run: PastRun, settings: dict[str, Any]) -> SweptJob:
    error = str(run.summary.get("error", "")).partition("\n")[0]
    return SweptJob(run.path.name, settings, run.status, error, run)


def _setting(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value or "removed"


def _differing(jobs: list[SweptJob]) -> list[SweptJob]:
    """Returns the jobs without the settings that all share, and without those of the search."""
    known = [job.settings for job in jobs if job.settings]
    every = dict.fromkeys(key for settings in known for key in settings)
    keys = [
        key
        for key in every
        if not key.startswith(SEARCH_PREFIX) and len({repr(one.get(key)) for one in known}) > 1
    ]
    return [
        replace(job, settings={key: job.settings[key] for key in keys if key in job.settings})
        for job in jobs
    ]
