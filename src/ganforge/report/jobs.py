"""The jobs of a sweep: those that have a folder, and those that never came to one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganforge.compare.groups import telling
from ganforge.config.job_names import FILE
from ganforge.errors import RunError
from ganforge.paths import typed_path
from ganforge.runs.past import PastRun, find_runs
from ganforge.runs.sweep_record import SweepRecord

log = logging.getLogger("ganforge")

# What a search tells its jobs of itself: no setting of theirs.
OWN = "tune."


@dataclass(frozen=True)
class SweptJob:
    """A job, or a run that lies among others.

    Attributes:
        name: its folder's.
        settings: what tells it from the others, by key.
        status: completed, running, killed, interrupted, failed, pruned, pending, skipped or
            unreadable.
        error: what ended it; "" where nothing did.
        run: its folder; None without one that can be read.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    status: str = "unknown"
    error: str = ""
    run: PastRun | None = None

    @property
    def number(self) -> str:
        """Its place in the sweep, as its folder's name has it; the name where that has none."""
        first, dash, _ = self.name.partition("-")
        return first if dash and first.isdecimal() and len(first) < 6 else self.name

    @property
    def label(self) -> str:
        """What tells it from the others, in words."""
        return ", ".join(f"{key}={value}" for key, value in self.settings.items()) or self.name


@dataclass(frozen=True)
class Sweep:
    """Runs that are read together.

    Attributes:
        jobs: in the order in which they were typed, or found.
        record: what the sweep says of itself; None where runs were gathered by hand.
        folders: the run folders, those that can't be read among them.
    """

    jobs: list[SweptJob]
    record: SweepRecord | None
    folders: list[Path]

    @classmethod
    def read(cls, places: list[str]) -> Sweep:
        """Reads a sweep's folder, or whatever runs are found.

        Args:
            places: a sweep's folder, or run folders and patterns.

        Raises:
            RunError: where there is neither a run nor a sweep.
        """
        record = _record(places)
        folders = [] if record is not None and not _any_run(places) else find_runs(places)
        runs, damaged = _read(folders)
        jobs = _recorded(record, runs, damaged) if record else _found(runs, damaged)
        return cls(_differing(jobs), record, folders)

    @property
    def runs(self) -> list[PastRun]:
        """The run folders that could be read."""
        return [job.run for job in self.jobs if job.run is not None]


def _record(places: list[str]) -> SweepRecord | None:
    folder = typed_path(places[0])
    if len(places) > 1 or not (folder / FILE).is_file():
        return None
    try:
        return SweepRecord.read(folder.resolve())
    except RunError as error:  # its runs can be read without it
        log.warning("%s", error)
        return None


def _any_run(places: list[str]) -> bool:
    try:
        return bool(find_runs(places))
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


def _found(runs: dict[Path, PastRun], damaged: dict[Path, str]) -> list[SweptJob]:
    keys = [*telling(list(runs.values())), "seed"]
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
    """Leaves out settings that all jobs share, and a search's own."""
    told = [job for job in jobs if job.settings]
    keys = dict.fromkeys(key for job in told for key in job.settings if not key.startswith(OWN))
    telling = [k for k in keys if len({repr(job.settings.get(k)) for job in told}) > 1]
    return [
        SweptJob(
            job.name,
            {key: job.settings[key] for key in telling if key in job.settings},
            job.status,
            job.error,
            job.run,
        )
        for job in jobs
    ]
