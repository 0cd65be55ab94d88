from __future__ import annotations

from pathlib import Path

from ganforge.errors import ConfigError
from ganforge.runs.sweep_record import SweepRecord, find_sweeps
from ganforge.search.settings import Search
from ganforge.sweeps.resume import newest_unfinished, not_running, published, read_sweep


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
        return newest_unfinished(same, lambda record: _is_complete(record, search), log_dir)
    record = read_sweep(resume)
    if not _is_same(record, typed):
        raise ConfigError(
            f"{record.path}: a {record.kind} with other overrides ({' '.join(record.overrides)}). "
            "Resume a search with the overrides it was started with"
        )
    return not_running(record)


def _is_same(record: SweepRecord, typed: list[str]) -> bool:
    return record.kind == "search" and _terms(record.overrides) == _terms(typed)


def _is_complete(record: SweepRecord, search: Search) -> bool:
    return record.status == "completed" and len(record.jobs) >= search.n_trials


def _terms(overrides: list[str]) -> list[str]:
    free = ("tune.n_trials=", "tune.n_jobs=", "tune.beat_seconds=")
    return sorted(published(word) for word in overrides if not word.startswith(free))
