from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ganforge.config.quoting import quoted
from ganforge.console import console
from ganforge.errors import ConfigError, RunError
from ganforge.paths import typed_path
from ganforge.plain_text import one_line
from ganforge.redaction import redacted
from ganforge.runs.lock import holder
from ganforge.runs.stored.settling import resolved_override
from ganforge.runs.sweep_record import SweepRecord, find_sweeps
from ganforge.sweeps.plan import Plan
from ganforge.sweeps.trust import is_permission, key_of


def find_sweep(resume: str | None, typed: list[str], log_dir: Path) -> SweepRecord | None:
    """Returns the sweep to resume, or None to start a new one.

    Args:
        resume: "auto" for the newest grid with the same overrides that is unfinished and not
            running; "latest" for the newest grid; otherwise the folder of a sweep.
        typed: overrides without ``resume=``, in any order. They may be omitted for "latest" and
            for a folder.
        log_dir: root of all outputs.

    Raises:
        RunError: if there is no such sweep, or it is running.
        ConfigError: if the sweep has other overrides.
    """
    if resume is None:
        return None
    if resume == "auto":
        grids = [record for record in find_sweeps(log_dir) if record.kind == "grid"]
        same = [record for record in grids if identity_of(record.overrides) == identity_of(typed)]
        return newest_unfinished(same, lambda record: not record.unfinished(), log_dir)
    record = _newest(log_dir) if resume == "latest" else read_sweep(resume)
    if record.kind != "grid":
        raise ConfigError(
            f"resume={resume}: {record.path} is a search; resume it with the tune=NAME that it "
            "was started with"
        )
    if identity_of(typed) and identity_of(typed) != identity_of(record.overrides):
        raise ConfigError(_difference(record, typed))
    return not_running(record)


def match_jobs(record: SweepRecord, plans: list[Plan]) -> None:
    """Prepares a stored sweep for resuming: sets every job that is not completed to pending.

    Raises:
        ConfigError: if the overrides now expand to other jobs, for example because ``glob(*)``
            matches a new option.
    """
    known = [job.overrides for job in record.jobs]
    if known != [list(plan.swept) for plan in plans]:
        raise ConfigError(
            f"{record.path}: its overrides now expand to {len(plans)} jobs, which are not the "
            f"{len(known)} that it was started with (glob(...) now matches other options). "
            "Start a new sweep, without resume="
        )
    for job in record.jobs:
        done = record.status_of(job) == "completed"
        job.status, job.error = ("completed" if done else "pending"), None


def identity_of(typed: list[str]) -> list[str]:
    """Returns the sorted overrides that identify a sweep: no log_dir, dry_run or permissions."""
    kept = [o for o in typed if key_of(o) not in ("log_dir", "dry_run") and not is_permission(o)]
    return sorted(published(resolved_override(override)) for override in kept)


def published(override: str) -> str:
    """Returns an override as it is stored, with secrets in notes and tags redacted.

    A sweep over notes or tags is stored as typed: the values name its jobs.
    """
    if key_of(override).rpartition(".")[2] not in ("notes", "tags"):
        return override
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:  # of a damaged record; what is typed was parsed before
        return override
    value = parsed.value()
    items = [str(item) for item in (value if isinstance(value, list) else [value])]
    if parsed.is_sweep_override() or redacted(items) == items:
        return override
    text = ",".join(map(quoted, redacted(items)))
    return f"{override.partition('=')[0]}={f'[{text}]' if isinstance(value, list) else text}"


def not_running(record: SweepRecord) -> SweepRecord:
    """Returns the record of a sweep or search.

    Raises:
        RunError: if another process is running it.
    """
    if (process := holder(record.path)) is not None:
        raise RunError(f"{record.path}: is run by {process}. Wait for it to end, or stop it")
    return record


def newest_unfinished(
    same: list[SweepRecord], is_complete: Callable[[SweepRecord], bool], log_dir: Path
) -> SweepRecord | None:
    """Returns the first sweep that is neither complete nor running; prints if there is none.

    Args:
        same: sweeps with the same overrides, newest first.
        is_complete: whether a sweep has nothing left to run.
        log_dir: where the sweeps were searched.
    """
    complete = None
    for record in same:
        if is_complete(record):
            complete = complete or record.path
        elif holder(record.path) is None:
            return record
    more = f" ({complete} is complete)" if complete else ""
    line = f"resume=auto: no unfinished sweep with these overrides in {log_dir}{more}"
    console.print(f"{line}; starting a new one", soft_wrap=True)
    return None


def _newest(log_dir: Path) -> SweepRecord:
    for record in find_sweeps(log_dir):
        if record.kind == "grid":
            return record
    raise RunError(
        f"no sweep under {log_dir / 'multirun'}, so there is no latest one. Set log_dir=DIR for "
        "sweeps in another folder"
    )


def read_sweep(resume: str) -> SweepRecord:
    """Returns the record of the sweep or search in a folder.

    Raises:
        RunError: if there is no such folder, or it holds no record.
    """
    path = typed_path(resume)
    if not path.is_dir():
        raise RunError(f"resume={resume}: no such folder; give auto, or the folder of a sweep")
    return SweepRecord.read(path.resolve())


def _difference(record: SweepRecord, typed: list[str]) -> str:
    # Shows the stored text, unresolved: an untrusted record may reference environment variables.
    then = {keys[0]: o for o in record.overrides if (keys := identity_of([o]))}
    now = identity_of(typed)
    missing = [one_line(stored) for o, stored in then.items() if o not in now]
    new = [one_line(o) for o in now if o not in then]
    parts = [f"typed now: {' '.join(new)}"] if new else []
    parts += [f"typed then: {' '.join(missing)}"] if missing else []
    return (
        f"{record.path}: is a sweep with other overrides ({'; '.join(parts)}). Resume it with "
        "the overrides of its start, or none: -m resume=FOLDER. To change them, start a new sweep"
    )
