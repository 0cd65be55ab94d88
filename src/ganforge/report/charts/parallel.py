"""Parallel coordinates plot: one line per job through its settings to its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganforge.report.charts.axis import BOTTOM, HEIGHT, TOP, Axis
from ganforge.report.charts.chart import path
from ganforge.report.charts.scales import Scale, fits_log
from ganforge.report.markup import Markup, Named, element, join

LEFT, RIGHT = 60, 130
WIDTH, LEAST_APART, MOST_APART = 1100, 190, 330
MOST_AXES = 10
MOST_LINES = 1000
# From best to worst: colour-blind safe, and legible on light and dark backgrounds.
COLOURS = ((13, 127, 214), (141, 111, 190), (224, 112, 26))


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
    lines = lines[-MOST_LINES:]
    keys = list(dict.fromkeys(key for line in lines for key in line.settings))[:MOST_AXES]
    axes = [Axis(key, tuple(line.settings.get(key) for line in lines)) for key in keys]
    scores = [line.score for line in lines if line.score is not None]
    last = Axis(score, tuple(scores))
    apart = min(max((WIDTH - LEFT - RIGHT) // max(len(axes), 1), LEAST_APART), MOST_APART)
    crossed = [*axes, last]
    drawn = [_axis(axis, place, apart) for place, axis in enumerate(crossed)]
    runs = [_run(line, crossed, apart, _colour(line.score, scores, higher)) for line in lines]
    width = LEFT + len(axes) * apart + RIGHT
    told: Named = {
        "viewBox": f"0 0 {width} {HEIGHT}",
        "width": width,
        "class": "parallel",
        "role": "img",
        "aria-label": f"Settings of {len(lines)} jobs and their {score}; the table of jobs has "
        "the same values.",
    }
    picture = element("svg", told, *runs, *drawn)
    region: Named = {"class": "scroll plain", "tabindex": 0, "role": "region"}
    return element("div", {**region, "aria-label": "Parallel coordinates"}, picture)


def _run(line: Line, axes: list[Axis], apart: int, colour: str | None) -> Markup:
    *settings, last = axes
    heights = [axis.place(line.settings.get(axis.name)) for axis in settings]
    if line.score is not None:
        heights.append(last.place(line.score))
    points = [(float(LEFT + place * apart), height) for place, height in enumerate(heights)]
    reached = "no score" if line.score is None else f"{last.name} {line.score:.4g}"
    kind = "run" if colour else "run scoreless"
    told: Named = {"class": kind, "d": path(points), "stroke": colour}
    return element("path", told, element("title", None, f"{line.label}: {reached}"))


def _axis(axis: Axis, place: int, apart: int) -> Markup:
    x, floor = LEFT + place * apart, HEIGHT - BOTTOM
    line = element("line", {"class": "axis", "x1": x, "x2": x, "y1": TOP, "y2": floor})
    # Names alternate in height, so that long names of adjacent axes do not overlap.
    name: Named = {"x": x, "y": 16 if place % 2 else 32, "text-anchor": "middle", "class": "name"}
    values = [
        element("text", {"class": "value", "x": x + 6, "y": f"{y + 4:.1f}"}, _clipped(text))
        for text, y in axis.named()
    ]
    return element("g", None, line, element("text", name, _clipped(axis.name, 34)), *values)


def _colour(score: float | None, scores: Sequence[float], higher: bool) -> str | None:
    if score is None:
        return None
    scale = Scale.over(scores, log=fits_log(scores), margin=0.0) if len(set(scores)) > 1 else None
    share = scale.place(score) if scale else 0.0
    return mixed(1 - share if higher and scale else share)


def mixed(share: float) -> str:
    """Returns the hex colour at ``share``, from 0 for the best score to 1 for the worst."""
    place = min(max(share, 0.0), 1.0) * (len(COLOURS) - 1)
    first = min(int(place), len(COLOURS) - 2)
    rest = place - first
    parts = zip(COLOURS[first], COLOURS[first + 1], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * rest):02x}" for a, b in parts)


def _clipped(text: str, most: int = 22) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def legend() -> Markup:
    """Returns the legend that explains the colours."""
    shares = [place / 10 for place in range(11)]
    boxes = [
        element("rect", {"x": 10 * i, "width": 10, "height": 10, "fill": mixed(share)})
        for i, share in enumerate(shares)
    ]
    told: Named = {"viewBox": "0 0 110 10", "width": 110, "height": 10, "class": "scale"}
    ramp = element("svg", {**told, "aria-hidden": "true"}, *boxes)
    words = "best ", ramp, " worst; dashed: no score"
    return element("p", {"class": "note ramp"}, join(*words))
