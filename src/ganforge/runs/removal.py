"""Atomic removal of run folders; runs in progress are never removed."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ganforge.errors import RunError
from ganforge.runs.contents import COMPOSED, Contents, is_run, named, remove_own
from ganforge.runs.entry import RunEntry, size_of
from ganforge.runs.latest import mend_latest
from ganforge.runs.lock import holder
from ganforge.runs.past import REMOVING

log = logging.getLogger("ganforge")

CHECKPOINTS = "checkpoints"
Removed = Callable[[Path, int], None]


def remove_runs(
    runs: list[RunEntry],
    log_dir: Path,
    checkpoints_only: bool,
    removed: Removed,
    unfit: Mapping[Path, str],
) -> None:
    """Removes run folders, or only their checkpoints; runs in progress are skipped.

    A folder with foreign files, or with other runs in it, is kept as a whole. Other folders are
    first renamed to a hidden name next to them, then deleted file by file. Leftovers of a killed
    removal are deleted by the next one. The record of a sweep is not changed.

    Args:
        runs: the runs to remove.
        log_dir: root of all outputs. Empty date folders below it are removed, and a dangling
            ``train/latest`` is pointed at the newest remaining run.
        checkpoints_only: remove only the checkpoints.
        removed: called with each folder and its size in bytes, once the folder is renamed.
        unfit: the runs that must be kept, each with the reason.

    Raises:
        RunError: raised at the end, listing everything that could not be removed.
    """
    own = CHECKPOINTS if checkpoints_only else ""
    works = [partial(_delete, path) for path in leftovers(runs, log_dir)]
    for run in runs:
        if run.path in unfit:
            works.append(partial(_refuse, unfit[run.path]))
        else:
            works.append(partial(_remove, run.path, run.path / own, log_dir, removed))
    faults = []
    try:
        for work in works:
            try:
                work()
            except (OSError, RunError) as error:
                faults.append(str(error) if isinstance(error, RunError) else _reason(error))
    finally:
        mend_latest(log_dir)
        for run in runs:
            _remove_empty_parents(run.path, log_dir)
    if faults:
        raise RunError("\n  ".join(["not all could be removed:", *faults]))


def leftovers(runs: list[RunEntry], log_dir: Path) -> list[Path]:
    """Returns the leftovers of killed removals under ``log_dir``, in ``runs`` and next to them."""
    found: dict[Path, None] = {}
    for folder, below, files in os.walk(log_dir.resolve()):
        found |= dict.fromkeys(_left_in(Path(folder), below))
        below[:] = [
            name for name in below if COMPOSED not in files and not name.startswith(REMOVING)
        ]
    for path in dict.fromkeys(folder for run in runs for folder in (run.path.parent, run.path)):
        with contextlib.suppress(OSError):
            found |= dict.fromkeys(_left_in(path, os.listdir(path)))
    return list(found)


def _remove(run: Path, path: Path, log_dir: Path, removed: Removed) -> None:
    """Removes a run folder, or its checkpoints, unless a process is training in it."""
    if (process := holder(run)) is not None:
        log.warning("not removed: %s is training in %s", process, run)
        return
    try:
        if path in (log_dir.resolve(), *log_dir.resolve().parents):
            raise RunError(f"{path}: not removed: it contains log_dir={log_dir} with other runs")
        _refuse_foreign(run, path)
        _refuse_read_only(path)
        size = size_of(path)
        hidden = path.with_name(REMOVING + path.name)
        os.rename(path, hidden)
    except (FileNotFoundError, RunError):
        if os.path.lexists(path):
            raise
        return  # no checkpoint yet, or another process has already removed it
    # A run that started between the first check and the rename holds the lock file that was
    # moved, so this second check finds it, and the rename is undone.
    if (process := holder(hidden if path == run else run)) is not None:
        os.rename(hidden, path)
        log.warning("not removed: %s is training in %s", process, run)
        return
    if foreign := _foreign_in(hidden):
        os.rename(hidden, path)  # they were added after the first check
        raise _refusal(path, [path / item.relative_to(hidden) for item in foreign])
    removed(path, size)
    try:
        _delete(hidden)
    except OSError as error:
        raise RunError(f"{_reason(error)}. The rest of {path} is now {hidden}") from error


def _refuse(fault: str) -> None:
    raise RunError(fault)


def _refuse_foreign(run: Path, path: Path) -> None:
    """Rejects a folder that is not a run, or that holds foreign files or other runs."""
    if not os.path.lexists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not is_run(run):
        raise RunError(f"{run}: not removed: except for {COMPOSED}, it contains no file of a run")
    if path.is_symlink():
        return  # checkpoints on another disk: only the link is removed
    if foreign := Contents.of(path, "" if path == run else path.name).foreign:
        raise _refusal(path, foreign)


def _foreign_in(hidden: Path) -> list[Path]:
    """Returns the foreign files in a renamed folder; empty if another removal has deleted it."""
    if hidden.is_symlink():
        return []
    with contextlib.suppress(FileNotFoundError):
        return Contents.of(hidden, _subfolder(hidden)).foreign
    return []


def _refusal(path: Path, foreign: list[Path]) -> RunError:
    return RunError(
        f"{path}: not removed: it contains files that no run writes: {named(foreign, path)}. "
        "Move them, or remove the folder yourself"
    )


def _refuse_read_only(path: Path) -> None:
    """Rejects a folder with a read-only part, before a removal would fail halfway."""
    for folder in (path.parent, *(Path(folder) for folder, _, _ in os.walk(path))):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise RunError(f"{path}: not removed: {folder} is read-only")


def _delete(path: Path) -> None:
    """Deletes a renamed folder; composed.yaml goes last, so that leftovers are recognized."""
    with contextlib.suppress(FileNotFoundError):  # another removal may delete it too
        if path.is_symlink():
            path.unlink()  # checkpoints on another disk: the link's target is the user's
            return
        remove_own(Contents.of(path, _subfolder(path)))
        path.rmdir()


def _left_in(folder: Path, names: list[str]) -> list[Path]:
    """Returns the leftovers in a folder; other items with a hidden name are not touched."""
    candidates = []
    for path in (folder / name for name in names if name.startswith(REMOVING)):
        own = (folder / COMPOSED).is_file() and path.name == REMOVING + CHECKPOINTS
        if own or _was_run(path):
            candidates.append(path)
    return [path for path in candidates if path.is_symlink() or _is_own(path)]


def _was_run(path: Path) -> bool:
    """Whether a hidden folder is a run's, or empty because a removal was killed at its end."""
    if path.is_symlink():
        return False
    if (path / COMPOSED).is_file():
        return True
    # A missing folder has been removed by another process in the meantime.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return not os.listdir(path)
    return False


def _is_own(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return not Contents.of(path, _subfolder(path)).foreign
    return False


def _subfolder(hidden: Path) -> str:
    return CHECKPOINTS if hidden.name == REMOVING + CHECKPOINTS else ""


def _remove_empty_parents(path: Path, log_dir: Path) -> None:
    for parent in path.parents:
        if log_dir.resolve() not in parent.parents:
            return
        with contextlib.suppress(OSError):  # not empty: it holds other runs
            parent.rmdir()


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror or error}"
