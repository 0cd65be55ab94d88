"""Parallel coordinates plot: one line per job through its settings to its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganforge.report.charts.chart import path
from ganforge.report.charts.scales import Scale, fits_log, short
from ganforge.report.markup import Markup, Named, element

HEIGHT, TOP, BOTTOM = 380, 44, 24
LINE = 13  # minimum pixels between two legible labels
MAX_VALUES = 12  # maximum number of values labeled individually on a numeric axis
LEFT, RIGHT = 60, 130
WIDTH, MIN_GAP, MAX_GAP = 1100, 190, 330
MAX_AXES = 10
MAX_LINES = 1000
# From best to worst: color-blind safe, and legible on light and dark backgrounds.
COLORS = ((13, 127, 214), (141, 111, 190), (224, 112, 26))


@dataclass(frozen=True)
class Axis:
    """A vertical axis: numeric with a scale, or categorical with equally spaced words.

    Attributes:
        name: heading.
        values: values of the jobs, numbers or words; None for a job without a value.
    """

    name: str
    values: tuple[Any, ...]

    @cached_property
    def scale(self) -> Scale | None:
        """The scale of a numeric axis; None for a categorical one.

        An axis is categorical if any value is not a number, or if all values are equal.
        """
        numbers = [number(value) for value in self.values]
        finite = [value for value in numbers if value is not None]
        if len(finite) < len(numbers) or len(set(finite)) < 2:
            return None
        return Scale.over(finite, log=fits_log(finite))

    @cached_property
    def words(self) -> list[str]:
        """The distinct values as words, in the order of first occurrence."""
        return list(dict.fromkeys(map(_word, self.values)))

    def position(self, value: Any) -> float:
        """Returns the position of a value, in pixels from the top."""
        if self.scale is not None:
            known = number(value)
            share = self.scale.position(known if known is not None else self.scale.low)
        else:
            share = 1 - (self.words.index(_word(value)) + 0.5) / len(self.words)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    def labels(self) -> list[tuple[str, float]]:
        """Returns the labels of the axis with their positions."""
        if self.scale is None:
            return _apart([(word, self.position(word)) for word in self.words])
        numbers = sorted({known for v in self.values if (known := number(v)) is not None})
        values = numbers if len(numbers) <= MAX_VALUES else self.scale.ticks()
        return _apart([(short(value), self.position(value)) for value in values])


@dataclass(frozen=True)
class Line:
    """The line of one job.

    Attributes:
        label: text of the tooltip.
        settings: settings by key; some may be missing.
        score: best score of the job; None if it has none.
    """

    label: str
    settings: dict[str, Any]
    score: float | None


def parallel(lines: Sequence[Line], score: str, higher: bool) -> Markup:
    """Returns the plot.

    Args:
        lines: lines of all jobs, the best last, so that they are drawn on top.
        score: name of the score, on the last axis.
        higher: whether a higher score is better.
    """
    lines = lines[-MAX_LINES:]
    keys = list(dict.fromkeys(key for line in lines for key in line.settings))[:MAX_AXES]
    axes = [Axis(key, tuple(line.settings.get(key) for line in lines)) for key in keys]
    scores = [line.score for line in lines if line.score is not None]
    last = Axis(score, tuple(scores))
    apart = min(max((WIDTH - LEFT - RIGHT) // max(len(axes), 1), MIN_GAP), MAX_GAP)
    crossed = [*axes, last]
    drawn = [_axis(axis, i, apart) for i, axis in enumerate(crossed)]
    runs = [_run(line, crossed, apart, _color(line.score, scores, higher)) for line in lines]
    width = LEFT + len(axes) * apart + RIGHT
    attributes: Named = {
        "viewBox": f"0 0 {width} {HEIGHT}",
        "width": width,
        "class": "parallel",
        "role": "img",
        "aria-label": f"Settings of {len(lines)} jobs and their {score}; the table of jobs has "
        "the same values.",
    }
    picture = element("svg", attributes, *runs, *drawn)
    region: Named = {"class": "scroll plain", "tabindex": 0, "role": "region"}
    return element("div", {**region, "aria-label": "Parallel coordinates"}, picture)


def _run(line: Line, axes: list[Axis], apart: int, color: str | None) -> Markup:
    *settings, last = axes
    heights = [axis.position(line.settings.get(axis.name)) for axis in settings]
    if line.score is not None:
        heights.append(last.position(line.score))
    points = [(float(LEFT + i * apart), height) for i, height in enumerate(heights)]
    reached = "no score" if line.score is None else f"{last.name} {line.score:.4g}"
    kind = "run" if color else "run scoreless"
    attributes: Named = {"class": kind, "d": path(points), "stroke": color}
    return element("path", attributes, element("title", None, f"{line.label}: {reached}"))


def _axis(axis: Axis, index: int, apart: int) -> Markup:
    x, floor = LEFT + index * apart, HEIGHT - BOTTOM
    line = element("line", {"class": "axis", "x1": x, "x2": x, "y1": TOP, "y2": floor})
    # Names alternate in height, so that long names of adjacent axes do not overlap.
    name: Named = {"x": x, "y": 16 if index % 2 else 32, "text-anchor": "middle", "class": "name"}
    values = [
        element("text", {"class": "value", "x": x + 6, "y": f"{y + 4:.1f}"}, _clipped(text))
        for text, y in axis.labels()
    ]
    return element("g", None, line, element("text", name, _clipped(axis.name, 34)), *values)


def _color(score: float | None, scores: Sequence[float], higher: bool) -> str | None:
    if score is None:
        return None
    scale = Scale.over(scores, log=fits_log(scores), margin=0.0) if len(set(scores)) > 1 else None
    share = scale.position(score) if scale else 0.0
    return mixed(1 - share if higher and scale else share)


def mixed(share: float) -> str:
    """Returns the hex color at ``share``, from 0 for the best score to 1 for the worst."""
    position = min(max(share, 0.0), 1.0) * (len(COLORS) - 1)
    first = min(int(position), len(COLORS) - 2)
    rest = position - first
    parts = zip(COLORS[first], COLORS[first + 1], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * rest):02x}" for a, b in parts)


def _clipped(text: str, most: int = 22) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def legend() -> Markup:
    """Returns the legend that explains the colors."""
    boxes = [
        element("rect", {"x": 10 * i, "width": 10, "height": 10, "fill": mixed(i / 10)})
        for i in range(11)
    ]
    size: Named = {"viewBox": "0 0 110 10", "width": 110, "height": 10, "class": "scale"}
    ramp = element("svg", {**size, "aria-hidden": "true"}, *boxes)
    return element("p", {"class": "note ramp"}, "best ", ramp, " worst; dashed: no score")


def number(value: Any) -> float | None:
    """Returns a setting as a finite number; None if it is not one."""
    try:
        converted = float(str(value))
    except ValueError:
        return None
    return converted if math.isfinite(converted) else None


def _apart(labels: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Returns the labels without those that would overlap an earlier one."""
    kept: list[tuple[str, float]] = []
    for text, y in labels:
        if all(abs(y - other) >= LINE for _, other in kept):
            kept.append((text, y))
    return kept


def _word(value: Any) -> str:
    return "not set" if value is None else str(value)
