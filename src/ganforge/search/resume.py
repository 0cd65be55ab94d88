from __future__ import annotations

from pathlib import Path

from ganforge.errors import ConfigError, RunError
from ganforge.paths import typed_path
from ganforge.runs.lock import holder
from ganforge.runs.sweep_record import SweepRecord, find_sweeps
from ganforge.search.settings import Search
from ganforge.sweeps.resume import log_new_sweep, published


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
        return _newest_unfinished(typed, search, log_dir)
    path = typed_path(resume)
    if not path.is_dir():
        raise RunError(f"resume={resume}: no such folder; legal of a search: auto, FOLDER")
    record = SweepRecord.read(path.resolve())
    if record.kind != "search" or _terms(record.overrides) != _terms(typed):
        raise ConfigError(
            f"{record.path}: is a {record.kind} of other overrides ({' '.join(record.overrides)}). "
            "A search goes on with those it was started with"
        )
    if (who := holder(record.path)) is not None:
        raise RunError(f"{record.path}: {who} is running this search. Wait for it, or stop it")
    return record


def _newest_unfinished(typed: list[str], search: Search, log_dir: Path) -> SweepRecord | None:
    complete = None
    for record in find_sweeps(log_dir):
        if record.kind != "search" or _terms(record.overrides) != _terms(typed):
            continue
        if record.status == "completed" and len(record.jobs) >= search.n_trials:
            complete = complete or record.path
        elif holder(record.path) is None:
            return record
    log_new_sweep("search", complete, log_dir)
    return None


def _terms(overrides: list[str]) -> list[str]:
    free = ("tune.n_trials=", "tune.n_jobs=", "tune.beat_seconds=")
    return sorted(published(word) for word in overrides if not word.startswith(free))
