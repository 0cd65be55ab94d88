from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ganforge.regular_files import read_mapping
from ganforge.runs.contents import COMPOSED
from ganforge.runs.lock import is_locked
from ganforge.runs.stored.past_summary import best_of, read_summary

STATUSES = ("running", "killed", "interrupted", "failed", "pruned", "completed")


@dataclass(frozen=True)
class RunEntry:
    """A run in a listing, read from its small files without the configuration.

    Attributes:
        path: its folder.
        status: one of ``STATUSES``. "running" needs a locked folder; otherwise it is "killed".
        step: generator updates made; None without a summary.
        best: name and best value of the monitored score; None without one.
        higher: whether a higher value of that score is better.
        changed: time of the last write to its summary or a checkpoint, in seconds since the epoch.
        choices: the options it was composed of, by group.
        fault: description of a fault in its summary; "" if there is none.
    """

    path: Path
    status: str
    step: int | None
    best: tuple[str, float] | None
    higher: bool
    changed: float
    choices: dict[str, Any]
    fault: str = ""

    @classmethod
    def read(cls, path: Path) -> RunEntry:
        """Reads a run folder; damaged files are treated as missing."""
        summary, fault = read_summary(path)
        step, best = summary.get("step"), _best(summary)
        return cls(
            path,
            _status(path, summary),
            step if isinstance(step, int) else None,
            best,
            best is not None and _is_higher_better(summary, best[0]),
            _changed(path),
            read_mapping(path / "choices.json"),
            fault,
        )

    @cached_property
    def size(self) -> int:
        """Size of its files in bytes."""
        return size_of(self.path)

    def is_of(self, group: str, option: str) -> bool:
        """Whether the run uses an option, given by its name with or without its folder."""
        chosen = str(self.choices.get(group))
        return option in (chosen, chosen.rpartition("/")[2])


def size_of(folder: Path) -> int:
    """Returns the size in bytes of all files below ``folder``; symbolic links are not followed.

    Files with several hard links count once, such as last.ckpt and previous.ckpt.
    """
    sizes = {}
    for place, _, names in os.walk(folder) if not folder.is_symlink() else ():
        for name in names:
            with contextlib.suppress(OSError):  # a run in progress may remove its own files
                found = os.lstat(os.path.join(place, name))
                sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())


def _status(path: Path, summary: dict[str, Any]) -> str:
    if is_locked(path):
        return "running"
    status = str(summary.get("status"))
    return status if status in STATUSES and status != "running" else "killed"


def _best(summary: dict[str, Any]) -> tuple[str, float] | None:
    try:
        return best_of(summary)
    except (AttributeError, TypeError, ValueError):  # one damaged file must not hide the others
        return None


def _is_higher_better(summary: dict[str, Any], name: str) -> bool:
    metrics = summary.get("metrics")
    score = metrics.get(name) if isinstance(metrics, dict) else None
    return isinstance(score, dict) and score.get("higher_is_better") is True


def _changed(path: Path) -> float:
    written = list(_times([path / "summary.json", *(path / "checkpoints").glob("*.ckpt")]))
    return max(written or _times([path / COMPOSED]), default=0.0)


def _times(files: list[Path]) -> Iterator[float]:
    for file in files:
        with contextlib.suppress(OSError):
            yield file.stat().st_mtime
