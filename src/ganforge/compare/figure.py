"""Curves of every score over the images seen, with mean and spread over seeds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ganforge import atomic
from ganforge.compare.columns import Column
from ganforge.compare.groups import Group
from ganforge.compare.statistics import spread
from ganforge.errors import install

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ganforge.compare.report import Comparison

log = logging.getLogger("ganforge")

MAX_GROUPS = 10  # more colors cannot be distinguished


class Point(NamedTuple):
    """A point of a group's curve.

    Attributes:
        images: images seen.
        mean: mean over seeds.
        std: standard deviation over seeds; 0 for a single seed.
    """

    images: int
    mean: float
    std: float


def draw(comparison: Comparison, path: Path) -> Path | None:
    """Draws a panel for each column; returns None without columns, or without matplotlib."""
    if not comparison.columns:
        return None
    try:
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("no figure: matplotlib is not installed: %s", install("plots"))
        return None
    count = len(comparison.columns)
    figure = Figure(figsize=(6.4, 3.6 * count), layout="constrained")
    panels = figure.subplots(count, squeeze=False)[:, 0]
    for axes, column in zip(panels, comparison.columns, strict=True):
        _panel(axes, column, comparison.ordered())
    with atomic.writing(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return path


def curve(column: Column, group: Group) -> list[Point]:
    """Returns mean and spread over seeds at the points where all seeds were measured.

    Elsewhere the mean would be over other seeds: a seed that stops early would look like a jump.
    """
    seeds = [one.curve for one in column.of(group)]
    shared = sorted(set.intersection(*(set(one) for one in seeds))) if seeds else []
    means = [(images, spread([one[images] for one in seeds])) for images in shared]
    return [Point(images, mean.mean, mean.std or 0.0) for images, mean in means]


def _panel(axes: Axes, column: Column, groups: list[Group]) -> None:
    for place, group in enumerate(groups[:MAX_GROUPS]):
        if seeds := column.of(group):
            # Colored by index, so that a group has the same color in all panels.
            _draw(axes, column, group, f"C{place}", f"{group.label} ({len(seeds)})")
    more = len(groups) - MAX_GROUPS
    axes.set_title(column.title + (f", the first {MAX_GROUPS} groups" if more > 0 else ""))
    axes.set_xlabel("real images seen")
    axes.set_ylabel(column.name)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(title="group (seeds)", fontsize="small")


def _draw(axes: Axes, column: Column, group: Group, color: str, label: str) -> None:
    for seed in column.of(group):
        images, values = list(seed.curve), list(seed.curve.values())
        axes.plot(images, values, color=color, linewidth=0.6, alpha=0.5)
    points = curve(column, group)
    images = [point.images for point in points]
    axes.plot(images, [point.mean for point in points], color=color, marker=".", label=label)
    if len(points) == 1:  # a filled band over a single point would be invisible
        axes.errorbar(images, points[0].mean, points[0].std, color=color, capsize=3)
    low = [point.mean - point.std for point in points]
    high = [point.mean + point.std for point in points]
    axes.fill_between(images, low, high, color=color, alpha=0.2, linewidth=0)
