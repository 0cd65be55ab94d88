"""The newest run: by the link ``train/latest``, or by start time if the link is unusable."""

from __future__ import annotations

import contextlib
import logging
import os
from datetime import datetime
from pathlib import Path

from ganforge.errors import RunError
from ganforge.processes import is_another_living
from ganforge.regular_files import read_json
from ganforge.runs.contents import COMPOSED
from ganforge.runs.past import runs_in

LATEST = "latest"

log = logging.getLogger("ganforge")


def latest_run(log_dir: Path) -> Path:
    """Returns the newest run.

    The link may be missing (a file system without links), dangling (its run was moved), or a
    folder (logs copied with links followed). Then the run that started last is returned. A
    warning is logged if the link is dangling or a folder.

    Raises:
        RunError: there is no run.
    """
    link = log_dir / "train" / LATEST
    if link.is_symlink() and (link / COMPOSED).is_file():
        return link.resolve()
    newest = newest_run(log_dir)
    if newest is None:
        raise RunError(
            f"no run yet under {log_dir / 'train'}, so there is no latest one. Set "
            "log_dir=DIR for runs in another folder"
        )
    if os.path.lexists(link):
        reason = "leads to no run" if link.is_symlink() else "is not a link"
        log.warning("%s %s; the run that started last is %s", link, reason, newest)
    return newest.resolve()


def newest_run(log_dir: Path) -> Path | None:
    """Returns the run under ``log_dir`` that started last; None if there are no runs.

    A folder ``train/latest`` is the copy of a run, and is used only if there is no other run.
    """
    copy = log_dir / "train" / LATEST
    runs = list(runs_in(log_dir))
    return max([run for run in runs if run != copy] or runs, key=_started, default=None)


def point_latest(run: Path, root: Path) -> None:
    """Points the link ``latest`` in ``root`` at a run; anything that is not a link is kept."""
    latest, link = root / LATEST, root / f".{LATEST}.{os.getpid()}"
    if os.path.lexists(latest) and not latest.is_symlink():
        log.warning("%s is not a link and stays as it is; remove it to have one again", latest)
        return
    # Errors are ignored: on a file system without links, the run itself still works. The link is
    # made under a temporary name and renamed, so that readers always find one.
    with contextlib.suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
        _clean(root)
        link.symlink_to(os.path.relpath(run, root))
        os.replace(link, latest)
    with contextlib.suppress(OSError):
        link.unlink(missing_ok=True)


def mend_latest(log_dir: Path) -> None:
    """Points a dangling ``train/latest`` at the newest run; removes it if there are no runs."""
    link = log_dir / "train" / LATEST
    if not link.is_symlink() or link.exists():
        return
    with contextlib.suppress(OSError):  # the link is optional, as in point_latest
        newest = newest_run(log_dir)
        link.unlink()
        if newest is not None:
            point_latest(newest.resolve(), log_dir / "train")


def _clean(root: Path) -> None:
    """Removes temporary links left by killed processes, including one with this process's pid."""
    for path in root.glob(f".{LATEST}.*"):
        number = path.name.rpartition(".")[2]
        if path.is_symlink() and number.isdigit() and not is_another_living(int(number)):
            path.unlink(missing_ok=True)


def _started(run: Path) -> tuple[float, float, str]:
    """Returns a sort key by recorded start time, since copying changes a file's times."""
    written = 0.0
    with contextlib.suppress(OSError):
        written = (run / COMPOSED).stat().st_mtime
    for recorded in (_recorded, _named):
        with contextlib.suppress(
            OSError, RunError, ValueError, TypeError, LookupError, OverflowError
        ):
            return recorded(run), written, str(run)
    return written, written, str(run)


def _recorded(run: Path) -> float:
    return datetime.fromisoformat(read_json(run / "provenance.json")[0]["started"]).timestamp()


def _named(run: Path) -> float:
    """Returns the start time in a path such as ``2026-01-31/13-07-13-dcgan-mnist-s0``."""
    text = f"{run.parent.name} {'-'.join(run.name.split('-')[:3])}"
    return datetime.strptime(text, "%Y-%m-%d %H-%M-%S").timestamp()
