"""Curves of every score over the images seen: the mean of the seeds, and their spread."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ganforge import atomic
from ganforge.experiments.comparison_columns import Column
from ganforge.experiments.comparison_groups import Group
from ganforge.experiments.comparison_statistics import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ganforge.experiments.comparison_report import Comparison

log = logging.getLogger("ganforge")

MOST_GROUPS = 10  # more colours can't be told apart


class Point(NamedTuple):
    """A point of a group's curve.

    Attributes:
        images: images seen.
        mean: of the seeds that were measured there.
        std: their standard deviation, 0 of one seed.
    """

    images: int
    mean: float
    std: float


def draw(comparison: Comparison, path: Path) -> Path | None:
    """Draws a panel for each column; returns None, and says so, without matplotlib or values."""
    if not comparison.columns:
        return None
    try:
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("no figure: matplotlib is not installed (uv sync --extra plots)")
        return None
    count = len(comparison.columns)
    figure = Figure(figsize=(6.4, 3.6 * count), layout="constrained")
    for axes, column in zip(
        figure.subplots(count, squeeze=False)[:, 0], comparison.columns, strict=True
    ):
        _panel(axes, column, column.ranked(comparison.groups, comparison.value))
    with atomic.writing(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return path


def curve(column: Column, group: Group) -> list[Point]:
    """Returns the mean over seeds wherever all seeds were measured that were still being trained.

    A seed that stopped early (a budget of seconds) ends its part of the curve, and a place where
    some of the others were not measured is left out: a mean of other seeds would look like a jump.
    """
    seeds = [one.curve for one in column.of(group) if one.curve]
    points = []
    for images in sorted({place for one in seeds for place in one}):
        going = [one for one in seeds if max(one) >= images]
        values = [one[images] for one in going if images in one]
        if len(values) == len(going):
            mean = spread(values)
            points.append(Point(images, mean.mean, mean.std or 0.0))
    return points


def _panel(axes: Axes, column: Column, groups: list[Group]) -> None:
    for group in groups[:MOST_GROUPS]:
        if points := curve(column, group):
            images, mean, std = zip(*points, strict=True)
            (line,) = axes.plot(
                images, mean, marker=".", label=f"{group.label} ({len(column.of(group))})"
            )
            low = [m - s for m, s in zip(mean, std, strict=True)]
            high = [m + s for m, s in zip(mean, std, strict=True)]
            axes.fill_between(images, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    more = len(groups) - MOST_GROUPS
    axes.set_title(column.title + (f", the first {MOST_GROUPS} groups" if more > 0 else ""))
    axes.set_xlabel("real images seen")
    axes.set_ylabel(column.name)
    if groups:
        axes.legend(title="group (seeds)", fontsize="small")
