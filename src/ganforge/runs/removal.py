"""Removing run folders so that none is ever seen half-removed, and none that is running."""

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
    """Removes run folders, or their checkpoints alone; a run that is on is left.

    A folder that holds anything a run does not write, other runs too, is left as a whole. Another
    first gets a hidden name beside it and is then deleted, file by file. What a killed removal left
    under such a name is deleted by the next one. A sweep's record stays as it is.

    Args:
        runs: what is to go.
        log_dir: root of all outputs. It stays, empty folders of dates beneath it do not, and
            ``train/latest`` leads to the newest run that is left.
        checkpoints_only: keep all else.
        removed: called with each folder and its bytes as soon as it is gone from sight.
        unfit: by run, why it is left although it was named.

    Raises:
        RunError: at the end, for what could not be removed.
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
                faults.append(str(error) if isinstance(error, RunError) else _told(error))
    finally:
        mend_latest(log_dir)
        for run in runs:
            _remove_empty_parents(run.path, log_dir)
    if faults:
        raise RunError("\n  ".join(["not all could be removed:", *faults]))


def leftovers(runs: list[RunEntry], log_dir: Path) -> list[Path]:
    """Returns what killed removals left under ``log_dir``, in ``runs`` and beside them."""
    found: dict[Path, None] = {}
    for place, below, files in os.walk(log_dir.resolve()):
        found |= dict.fromkeys(_left_in(Path(place), below))
        below[:] = [name for name in below if COMPOSED not in files and not _is_hidden(name)]
    for folder in dict.fromkeys(place for run in runs for place in (run.path.parent, run.path)):
        with contextlib.suppress(OSError):
            found |= dict.fromkeys(_left_in(folder, os.listdir(folder)))
    return list(found)


def _remove(run: Path, path: Path, log_dir: Path, removed: Removed) -> None:
    """Removes a folder of a run, or the run itself."""
    if (who := holder(run)) is not None:
        log.warning("left: %s is training in %s", who, run)
        return
    try:
        if path in (log_dir.resolve(), *log_dir.resolve().parents):
            raise RunError(f"{path}: is left, for it holds log_dir={log_dir} with other runs")
        _refuse_foreign(run, path)
        _refuse_read_only(path)
        size = size_of(path)
        hidden = path.with_name(REMOVING + path.name)
        os.rename(path, hidden)
    except (FileNotFoundError, RunError):
        if os.path.lexists(path):
            raise
        return  # no checkpoint yet, or another removal was quicker
    # Who has begun to train there in the meantime has locked the file that was moved.
    if (who := holder(hidden if path == run else run)) is not None:
        os.rename(hidden, path)
        log.warning("left: %s is training in %s", who, run)
        return
    if foreign := _foreign_in(hidden):
        os.rename(hidden, path)  # they arrived while it was listed
        raise _refusal(path, [path / item.relative_to(hidden) for item in foreign])
    removed(path, size)
    try:
        _delete(hidden)
    except OSError as error:
        raise RunError(f"{_told(error)}. What is left of {path} is now {hidden}") from error


def _refuse(fault: str) -> None:
    raise RunError(fault)


def _refuse_foreign(run: Path, path: Path) -> None:
    """Refuses a folder that is no run's, or holds more than a run writes: other runs too."""
    if not os.path.lexists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not is_run(run):
        raise RunError(f"{run}: is left, for beside {COMPOSED} it has no file of a run")
    if path.is_symlink():
        return  # checkpoints on another disk: the link goes, its target stays
    if foreign := Contents.of(path, "" if path == run else path.name).foreign:
        raise _refusal(path, foreign)


def _foreign_in(hidden: Path) -> list[Path]:
    """Returns what no run writes in a folder that another removal may be deleting as well."""
    if hidden.is_symlink():
        return []
    with contextlib.suppress(FileNotFoundError):
        return Contents.of(hidden, _place(hidden)).foreign
    return []


def _refusal(path: Path, foreign: list[Path]) -> RunError:
    return RunError(
        f"{path}: is left, for it holds what no run writes: {named(foreign, path)}. "
        "Move that elsewhere, or remove the folder yourself"
    )


def _refuse_read_only(path: Path) -> None:
    """Refuses to begin what would end half-way."""
    for place in (path.parent, *(Path(place) for place, _, _ in os.walk(path))):
        if not os.access(place, os.W_OK | os.X_OK):
            raise RunError(f"{path}: nothing of it is removed, for {place} is read-only")


def _delete(path: Path) -> None:
    """Deletes what a run wrote, what makes it a run last, so that a leftover is known as one."""
    with contextlib.suppress(FileNotFoundError):  # another removal clears it as well
        if path.is_symlink():
            path.unlink()  # checkpoints on another disk: what the link leads to is the user's
            return
        remove_own(Contents.of(path, _place(path)))
        path.rmdir()


def _left_in(folder: Path, names: list[str]) -> list[Path]:
    """Returns the leftovers among a folder's items: nothing else of such a name is touched."""
    found = []
    for path in (folder / name for name in names if _is_hidden(name)):
        own = (folder / COMPOSED).is_file() and path.name == REMOVING + CHECKPOINTS
        if own or _was_run(path):
            found.append(path)
    return [path for path in found if path.is_symlink() or _is_own(path)]


def _was_run(path: Path) -> bool:
    """Whether a folder is a run's, or all but the folder itself is gone."""
    if path.is_symlink():
        return False
    if (path / COMPOSED).is_file():
        return True
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # another removal was quicker
        return not os.listdir(path)
    return False


def _is_own(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return not Contents.of(path, _place(path)).foreign
    return False


def _place(hidden: Path) -> str:
    return CHECKPOINTS if hidden.name == REMOVING + CHECKPOINTS else ""


def _is_hidden(name: str) -> bool:
    return name.startswith(REMOVING)


def _remove_empty_parents(path: Path, log_dir: Path) -> None:
    for parent in path.parents:
        if log_dir.resolve() not in parent.parents:
            return
        with contextlib.suppress(OSError):  # not empty: other runs lie there
            parent.rmdir()


def _told(error: OSError) -> str:
    return f"{error.filename}: {error.strerror or error}"
