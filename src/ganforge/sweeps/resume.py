from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
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
        return _newest_unfinished(typed, log_dir)
    record = _newest(log_dir) if resume == "latest" else _named(resume)
    if record.kind != "grid":
        raise ConfigError(
            f"resume={resume}: {record.path} is a search, and goes on with the tune=NAME that it "
            "was started with"
        )
    if meant(typed) and meant(typed) != meant(record.overrides):
        raise ConfigError(_difference(record, typed))
    if (who := holder(record.path)) is not None:
        raise RunError(f"{record.path}: {who} is running this sweep. Wait for it, or stop it")
    return record


def match_jobs(record: SweepRecord, plans: list[Plan]) -> None:
    """Prepares a stored sweep for resuming: sets every job that is not completed to pending.

    Raises:
        ConfigError: if the overrides now expand to other jobs, for example because ``glob(*)``
            matches a new option.
    """
    known = [job.overrides for job in record.jobs]
    if known != [list(plan.swept) for plan in plans]:
        raise ConfigError(
            f"{record.path}: its overrides mean {len(plans)} jobs now, which are not the "
            f"{len(known)} that it was started with (an option came or went that glob(...) finds). "
            "Start a new sweep, without resume="
        )
    for job in record.jobs:
        done = record.status_of(job) == "completed"
        job.status, job.error = ("completed" if done else "pending"), None


def meant(typed: list[str]) -> list[str]:
    """Returns the sorted overrides that identify a sweep: no log_dir, dry_run or permissions."""
    return sorted(published(resolved_override(o)) for o in typed if not _passes(o))


def _passes(override: str) -> bool:
    """Whether an override affects only the current command and does not identify the sweep."""
    return key_of(override) in ("log_dir", "dry_run") or is_permission(override)


def published(override: str) -> str:
    """Returns an override as it is stored, with secrets in notes and tags redacted.

    A sweep over notes or tags is stored as typed: the values name its jobs.
    """
    if key_of(override).rpartition(".")[2] not in ("notes", "tags"):
        return override
    try:
        found = OverridesParser.create().parse_override(override)
    except HydraException:  # of a damaged record; what is typed was parsed before
        return override
    if found.is_sweep_override() or redacted(value := plain_value(found)) == value:
        return override
    return f"{override.partition('=')[0]}={_spelled(redacted(value))}"


def plain_value(override: Override) -> Any:
    """Returns the value of a parsed override without Hydra's marks of quotes."""
    value = override.value()
    return [str(item) for item in value] if isinstance(value, list) else str(value)


def _spelled(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{','.join(quoted(item) for item in value)}]"
    return quoted(value)


def _newest_unfinished(typed: list[str], log_dir: Path) -> SweepRecord | None:
    complete = None
    for record in find_sweeps(log_dir):
        if record.kind != "grid" or meant(record.overrides) != meant(typed):
            continue
        if not record.unfinished():
            complete = complete or record.path
        elif holder(record.path) is None:
            return record
    log_new_sweep("sweep", complete, log_dir)
    return None


def log_new_sweep(kind: str, complete: Path | None, log_dir: Path) -> None:
    """Prints that resume=auto found no unfinished sweep or search and that a new one starts."""
    found = f"no unfinished {kind} of these overrides in {log_dir}"
    found += f" ({complete} is complete)" if complete else ""
    console.print(f"resume=auto: {found}: a new one", soft_wrap=True, highlight=False, markup=False)


def _newest(log_dir: Path) -> SweepRecord:
    for record in find_sweeps(log_dir):
        if record.kind == "grid":
            return record
    raise RunError(
        f"no sweep yet under {log_dir / 'multirun'}: there is no latest one. Sweeps that lie "
        "elsewhere are found with log_dir=DIR"
    )


def _named(resume: str) -> SweepRecord:
    path = typed_path(resume)
    if not path.is_dir():
        raise RunError(f"resume={resume}: no such folder of a sweep")
    return SweepRecord.read(path.resolve())


def _difference(record: SweepRecord, typed: list[str]) -> str:
    # Shows the stored text, unresolved: an untrusted record may reference environment variables.
    then = {found[0]: o for o in record.overrides if (found := meant([o]))}
    now = meant(typed)
    missing = [one_line(stored) for o, stored in then.items() if o not in now]
    new = [one_line(o) for o in now if o not in then]
    told = [f"typed now: {' '.join(new)}"] if new else []
    told += [f"typed then: {' '.join(missing)}"] if missing else []
    return (
        f"{record.path}: is a sweep of other overrides ({'; '.join(told)}). A sweep goes on with "
        "those it was started with, or with none: -m resume=FOLDER. Start a new one to change them"
    )
