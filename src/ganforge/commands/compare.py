from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganforge import atomic
from ganforge.compare.columns import Column
from ganforge.compare.figure import draw
from ganforge.compare.groups import Group
from ganforge.compare.report import Comparison, cost, parameters
from ganforge.config.requests import CompareRequest
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError, RunError
from ganforge.paths import check_folder, typed_path
from ganforge.runs.past import PastRun, common_folder, find_runs, listed, named_paths

log = logging.getLogger("ganforge")

VALUES = ("final", "best")


def compare_runs(request: CompareRequest) -> Comparison:
    """Groups runs that differ only in seed, prints their scores and writes comparison.*.

    Only run folders are read: no model is built and nothing is measured again. Values with
    different protocols or data get separate columns. No difference is claimed from a single seed.

    Args:
        request: the command as typed.

    Returns:
        The comparison.

    Raises:
        ConfigError: if a value is invalid.
        RunError: if there is no run.
    """
    setup_logging()
    if request.value not in VALUES:
        raise ConfigError(f"value must be one of {', '.join(VALUES)}; got {request.value!r}")
    if not 0 < request.level < 1:
        raise ConfigError(f"level must be between 0 and 1, got {request.level}")
    if request.out is not None:
        check_folder(typed_path(request.out), "out")
    folders = find_runs(named_paths(request.runs, request.log_dir))
    comparison = Comparison.of(
        list(_read(folders)), listed(request.by), request.value, request.level
    )
    out = typed_path(request.out) if request.out is not None else common_folder(folders)
    written = write(comparison, out)
    for table in comparison.summary():
        console.print(table.rich())
    for path in written:
        console.print(f"written to {path}", soft_wrap=True)
    return comparison


def _read(folders: list[Path]) -> Iterator[PastRun]:
    for folder in folders:
        try:
            yield PastRun.read(folder)
        except RunError as error:  # one damaged file must not hide hundreds of runs
            log.warning("skipped: %s", error)


def write(comparison: Comparison, out: Path) -> list[Path]:
    """Writes the report, the table and, if matplotlib is installed, the figure.

    Returns:
        Paths of the written files.

    Raises:
        RunError: if the folder cannot be written to.
    """
    try:
        figure = draw(comparison, out / "comparison.png")
        report = comparison.markdown(figure.name if figure else None)
        atomic.write(out / "comparison.md", report.encode())
        atomic.write(out / "comparison.csv", table(comparison).encode())
    except OSError as error:
        raise RunError(
            f"cannot write into {out} ({error.strerror or error}); out=DIR writes it elsewhere"
        ) from error
    written = [out / "comparison.md", out / "comparison.csv"]
    return [*written, figure] if figure else written


def table(comparison: Comparison) -> str:
    """Returns CSV with a header and one line for each group and column, at full precision."""
    rows = [
        _row(group, column)
        for column in comparison.columns
        for group in comparison.groups
        if column.of(group)
    ]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _row(group: Group, column: Column) -> dict[str, Any]:
    row: dict[str, Any] = {
        "group": group.label,
        "score": column.name,
        "higher_is_better": column.higher_is_better,
        "seeds": column.spread(group, "final").n,
    }
    spreads = {
        "final": column.spread(group, "final"),
        "best": column.spread(group, "best"),
        "images_to_best": column.images_to_best(group),
    }
    costs = ("images_seen", "seconds", "images_per_second")
    for name, spread in {**spreads, **{name: cost(group, name) for name in costs}}.items():
        row |= {f"{name}_mean": spread.mean if spread.n else None, f"{name}_std": spread.std}
    for player in ("generator", "discriminator"):
        row[f"{player}_parameters"] = " ".join(map(str, parameters(group, player)))
    return row | {"protocol": json.dumps(column.protocol, sort_keys=True)}
