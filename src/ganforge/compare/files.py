"""Files written by a comparison: comparison.md, comparison.csv and comparison.png."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from ganforge import atomic
from ganforge.compare.columns import Column
from ganforge.compare.costs import cost, parameters
from ganforge.compare.figure import draw
from ganforge.compare.groups import Group
from ganforge.compare.report import Comparison
from ganforge.errors import RunError


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
