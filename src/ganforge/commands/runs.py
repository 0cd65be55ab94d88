from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ganforge.commands.cache import age_as_text, bytes_as_text
from ganforge.compare.cells import plain
from ganforge.config.check import did_you_mean
from ganforge.config.compose import options
from ganforge.config.requests import RunsRequest
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError
from ganforge.paths import typed_path
from ganforge.plain_text import one_line
from ganforge.runs.entry import STATUSES, RunEntry
from ganforge.runs.past import find_runs, listed, named_paths, not_removable, runs_in
from ganforge.runs.removal import remove_runs

log = logging.getLogger("ganforge")

MIN_WIDTH = 16  # minimum characters of a run's path
GAP = 2  # between columns
UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def manage_runs(request: RunsRequest) -> list[RunEntry]:
    """Lists the runs that match the filters, or removes them.

    Args:
        request: the command as typed.

    Returns:
        The matching runs.

    Raises:
        ConfigError: if a value is invalid, or a removal has neither a filter nor runs.
        RunError: if there is no such run, or a run cannot be removed.
    """
    setup_logging()
    chosen = {str(group): listed(value) for group, value in request.where.items()}
    matches = RunFilter(listed(request.status), chosen, request.older_than, request.newer_than)
    if request.sort not in SORTS:
        raise ConfigError(f"sort={request.sort}: {did_you_mean(request.sort, list(SORTS))}")
    _check_removal(request, bool(matches))
    log_dir = typed_path(request.log_dir)
    every = [RunEntry.read(folder) for folder in _folders(request, log_dir)]
    matches.check_options(every)
    runs = sorted(filter(matches, every), key=SORTS[request.sort])
    if request.remove:
        faults = not_removable(named_paths(request.runs, request.log_dir), log_dir)
        _remove(runs, log_dir, request.checkpoints_only, faults)
    else:
        _print(runs, log_dir)
    for fault in filter(None, (run.fault for run in runs)):
        log.warning("%s", fault)
    return runs


def elided(text: str, room: int) -> str:
    """Shortens a path to ``room`` characters, in the middle: its end is the most specific part."""
    if len(text) <= room:
        return text
    head = (room - 1) // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def distinct(texts: list[str], room: int) -> list[str]:
    """Shortens paths to ``room`` characters, except those that would then look alike."""
    short = [elided(text, room) for text in texts]
    counts = Counter(short)
    pairs = zip(texts, short, strict=True)
    return [text if counts[shortened] > 1 else shortened for text, shortened in pairs]


def _by_best(run: RunEntry) -> tuple[Any, ...]:
    if run.best is None:
        return (True,)
    name, value = run.best
    return (False, name, -value if run.higher else value)


SORTS: dict[str, Callable[[RunEntry], Any]] = {
    "age": lambda run: (-run.changed, str(run.path)),
    "best": _by_best,
    "size": lambda run: -run.size,
    "step": lambda run: (run.step is None, -(run.step or 0)),
    "name": lambda run: str(run.path),
}


def _check_removal(request: RunsRequest, filtered: bool) -> None:
    if request.checkpoints_only and not request.remove:
        raise ConfigError("checkpoints_only=true limits what remove=true removes; set both")
    if request.remove and not filtered and request.runs is None:
        raise ConfigError(
            "remove=true: would remove every run. Select some: runs=, status=, model=, data=, "
            f"older_than= or newer_than=; runs={request.log_dir} selects all"
        )


def _folders(request: RunsRequest, log_dir: Path) -> list[Path]:
    if request.runs is None:  # an empty log_dir is not an error
        return sorted(run.resolve() for run in runs_in(log_dir))
    return find_runs(named_paths(request.runs, request.log_dir))


def _remove(
    runs: list[RunEntry], log_dir: Path, checkpoints_only: bool, faults: dict[Path, str]
) -> None:
    sizes = []

    def removed(path: Path, size: int) -> None:
        sizes.append(size)
        console.print(f"removed {_relative(path, Path())}  {bytes_as_text(size)}", soft_wrap=True)

    try:
        remove_runs(runs, log_dir, checkpoints_only, removed, faults)
    finally:
        what = "checkpoints of " if checkpoints_only else ""
        total = f"{_counted(len(sizes))}, {bytes_as_text(sum(sizes))}"
        console.print(f"removed {what}{total}", soft_wrap=True)


def _print(runs: list[RunEntry], log_dir: Path) -> None:
    if not runs:
        console.print(f"no matching run in {log_dir}", soft_wrap=True)
        return
    names = {run.best[0] for run in runs if run.best is not None}
    rows = [_row(run, len(names) > 1) for run in runs]
    columns = ["status", "step", "best", "age", "size"]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    room = max(MIN_WIDTH, console.width - sum(widths) - GAP * len(columns))
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    table.add_column("run", overflow="fold")
    for name in columns:
        table.add_column(name, no_wrap=True, justify="left" if name == "status" else "right")
    paths = distinct([one_line(_relative(run.path, log_dir)) for run in runs], room)
    for path, row in zip(paths, rows, strict=True):  # a path that is too long is wrapped
        table.add_row(*map(Text, (path, *row)))
    console.print(table)
    total = bytes_as_text(sum(run.size for run in runs))
    score = f"; best: {names.pop()}" if len(names) == 1 else ""
    console.print(f"{_counted(len(runs))}, {total}{score}", soft_wrap=True)


def _row(run: RunEntry, named: bool) -> list[str]:
    best = "-"
    if run.best is not None:
        name, value = run.best
        best = f"{elided(name, 20)} {plain(value)}" if named else plain(value)
    step = "-" if run.step is None else f"{run.step:,}"
    age = age_as_text(time.time() - run.changed)
    return [one_line(run.status), step, one_line(best), age, bytes_as_text(run.size)]


def _relative(path: Path, root: Path) -> str:
    """Returns a path for display: relative to ``root`` if it is inside, else absolute."""
    base = root.resolve()
    return os.path.relpath(path, base) if base in path.parents else str(path)


def _counted(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


@dataclass(frozen=True)
class RunFilter:
    """A filter over runs: a run passes if it meets all given conditions.

    Args:
        statuses: a run has any of these; empty for all.
        options: by group, a run has any of these options; a group with an empty list is ignored.
        older_than: minimum time since the last change, such as "7d"; None for any age.
        newer_than: maximum time since the last change, such as "12h"; None for any age.

    Raises:
        ConfigError: a status or an age is not legal.
    """

    statuses: list[str]
    options: dict[str, list[str]]
    older_than: str | None = None
    newer_than: str | None = None

    def __post_init__(self) -> None:
        for status in self.statuses:
            if status not in STATUSES:
                raise ConfigError(f"status={status}: {did_you_mean(status, list(STATUSES))}")
        older, newer = self._ages
        if older is not None and newer is not None and older >= newer:
            raise ConfigError(
                f"older_than={self.older_than} newer_than={self.newer_than}: no run is both; "
                "newer_than must be the longer time"
            )

    def __bool__(self) -> bool:
        """Whether any condition is given."""
        return bool(self.statuses) or any(self.options.values()) or any(self._ages)

    def __call__(self, run: RunEntry) -> bool:
        """Whether a run passes."""
        older, newer = self._ages
        age = time.time() - run.changed
        return (
            (not self.statuses or run.status in self.statuses)
            and all(any(run.is_of(g, o) for o in some) for g, some in self.options.items() if some)
            and (older is None or age > older)
            and (newer is None or age < newer)
        )

    def check_options(self, runs: list[RunEntry]) -> None:
        """Rejects options that neither conf/ nor any run has, such as misspelled ones.

        Raises:
            ConfigError: naming the legal options.
        """
        for group, wanted in self.options.items():
            known = {str(run.choices[group]) for run in runs if group in run.choices}
            if wanted and runs and not known:
                names = sorted({name for run in runs for name in run.choices})
                raise ConfigError(
                    f"{group}={','.join(wanted)}: runs do not record that choice; legal: "
                    f"{', '.join(names) or 'none'}"
                )
            legal = sorted(known | set(options(group)))
            short = {name.rpartition("/")[2] for name in legal}
            for option in wanted:
                if option not in short.union(legal):
                    hint = did_you_mean(option, legal)
                    raise ConfigError(f"{group}={option}: no such option; {hint}")

    @property
    def _ages(self) -> tuple[float | None, float | None]:
        older = age_in_seconds("older_than", self.older_than)
        return older, age_in_seconds("newer_than", self.newer_than)


def age_in_seconds(name: str, text: str | None) -> float | None:
    """Returns a duration such as ``30m``, ``12h``, ``7d`` or ``2w`` in seconds; None for None.

    Args:
        name: name of the key, for the message.
        text: a number above 0 and its unit.

    Raises:
        ConfigError: the text is anything else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text, re.ASCII)
    if found is None or float(found[1]) == 0:
        raise ConfigError(
            f"{name}={text}: must be a number above 0 and a unit, m (minutes), h (hours), "
            "d (days) or w (weeks), such as 30m, 12h or 7d"
        )
    return float(found[1]) * UNITS[found[2]]
