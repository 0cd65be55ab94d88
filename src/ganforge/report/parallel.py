"""Parallel coordinates: a line for each job through its settings, to the score it has reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganforge.report.chart import path
from ganforge.report.markup import Markup, Named, element, join
from ganforge.report.scales import Scale, fits_log, short

HEIGHT, TOP, BOTTOM = 380, 44, 24
LEFT, APART, RIGHT = 60, 190, 130
LINE = 13  # pixels between two values that can be read
MOST_AXES = 10
MOST_LINES = 1000
MOST_VALUES = 12  # that are named on an axis of numbers
# From the best to the worst: told apart by the colour-blind, and seen on white and on black.
COLOURS = ((13, 127, 214), (141, 111, 190), (224, 112, 26))


@dataclass(frozen=True)
class Line:
    """A job.

    Attributes:
        label: what its tip says.
        settings: by key; some may be missing.
        score: its best; None of a job without one.
    """

    label: str
    settings: dict[str, Any]
    score: float | None


@dataclass(frozen=True)
class Axis:
    """What the lines cross: numbers to scale, words at equal distances.

    Attributes:
        name: heading.
        values: those that occur, numbers or words; None for a job without.
    """

    name: str
    values: tuple[Any, ...]

    @cached_property
    def scale(self) -> Scale | None:
        """The scale of an axis of numbers; None where there are words."""
        numbers = [number(value) for value in self.values]
        found = [value for value in numbers if value is not None]
        if len(found) < len(numbers) or len(set(found)) < 2:
            return None
        return Scale.over(found, log=fits_log(found))

    @cached_property
    def words(self) -> list[str]:
        """The different values in words, in the order of their first job."""
        return list(dict.fromkeys(map(_word, self.values)))

    def place(self, value: Any) -> float:
        """Returns where a value lies, in pixels from above."""
        if self.scale is not None:
            found = number(value)
            share = self.scale.place(found if found is not None else self.scale.low)
        else:
            share = 1 - (self.words.index(_word(value)) + 0.5) / len(self.words)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    def named(self) -> list[tuple[str, float]]:
        """Returns what is written along the axis, and where."""
        if self.scale is None:
            return _apart([(word, self.place(word)) for word in self.words])
        numbers = sorted({found for v in self.values if (found := number(v)) is not None})
        shown = numbers if len(numbers) <= MOST_VALUES else self.scale.ticks()
        return _apart([(short(value), self.place(value)) for value in shown])


def parallel(lines: Sequence[Line], score: str, higher: bool) -> Markup:
    """Returns the picture.

    Args:
        lines: of all jobs, the best last, so that they lie above the others.
        score: name of the last axis.
        higher: whether a higher score is better.
    """
    lines = lines[-MOST_LINES:]
    keys = list(dict.fromkeys(key for line in lines for key in line.settings))[:MOST_AXES]
    axes = [Axis(key, tuple(line.settings.get(key) for line in lines)) for key in keys]
    scores = [line.score for line in lines if line.score is not None]
    last = Axis(score, tuple(scores))
    drawn = [_axis(axis, place) for place, axis in enumerate([*axes, last])]
    runs = [_run(line, axes, last, _colour(line.score, scores, higher)) for line in lines]
    width = LEFT + len(axes) * APART + RIGHT
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


def number(value: Any) -> float | None:
    """Returns the number that a setting is, or None."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _apart(named: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Leaves out what would be written over what stands there already."""
    kept: list[tuple[str, float]] = []
    for text, y in named:
        if all(abs(y - other) >= LINE for _, other in kept):
            kept.append((text, y))
    return kept


def _word(value: Any) -> str:
    return "not set" if value is None else str(value)


def _run(line: Line, axes: list[Axis], last: Axis, colour: str | None) -> Markup:
    heights = [axis.place(line.settings.get(axis.name)) for axis in axes]
    if line.score is not None:
        heights.append(last.place(line.score))
    points = [(_x(place), height) for place, height in enumerate(heights)]
    reached = "no score" if line.score is None else f"{last.name} {line.score:.4g}"
    kind = "run" if colour else "run scoreless"
    told: Named = {"class": kind, "d": path(points), "stroke": colour}
    return element("path", told, element("title", None, f"{line.label}: {reached}"))


def _axis(axis: Axis, place: int) -> Markup:
    x, floor = _x(place), HEIGHT - BOTTOM
    line = element("line", {"class": "axis", "x1": x, "x2": x, "y1": TOP, "y2": floor})
    # Names alternate in height, for long keys stand beside each other.
    name: Named = {"x": x, "y": 16 if place % 2 else 32, "text-anchor": "middle", "class": "name"}
    values = [
        element("text", {"class": "value", "x": x + 6, "y": f"{y + 4:.1f}"}, _clipped(text))
        for text, y in axis.named()
    ]
    return element("g", None, line, element("text", name, _clipped(axis.name, 34)), *values)


def _x(place: int) -> float:
    return LEFT + place * APART


def _colour(score: float | None, scores: Sequence[float], higher: bool) -> str | None:
    if score is None:
        return None
    scale = Scale.over(scores, log=fits_log(scores), margin=0.0) if len(set(scores)) > 1 else None
    share = scale.place(score) if scale else 0.0
    return mixed(1 - share if higher and scale else share)


def mixed(share: float) -> str:
    """Returns the colour of a score, from 0 for the best to 1 for the worst."""
    place = min(max(share, 0.0), 1.0) * (len(COLOURS) - 1)
    first = min(int(place), len(COLOURS) - 2)
    rest = place - first
    parts = zip(COLOURS[first], COLOURS[first + 1], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * rest):02x}" for a, b in parts)


def _clipped(text: str, most: int = 22) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def legend() -> Markup:
    """Returns what the colours mean."""
    shares = [place / 10 for place in range(11)]
    boxes = [
        element("rect", {"x": 10 * i, "width": 10, "height": 10, "fill": mixed(share)})
        for i, share in enumerate(shares)
    ]
    told: Named = {"viewBox": "0 0 110 10", "width": 110, "height": 10, "class": "scale"}
    ramp = element("svg", {**told, "aria-hidden": "true"}, *boxes)
    words = "best ", ramp, " worst; dashed: no score"
    return element("p", {"class": "note ramp"}, join(*words))
