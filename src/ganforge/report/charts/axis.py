"""One of the axes of parallel coordinates: numbers to scale, or words at equal distances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganforge.report.charts.scales import Scale, fits_log, short

HEIGHT, TOP, BOTTOM = 380, 44, 24
LINE = 13  # pixels between two values that can be read
MOST_VALUES = 12  # that are named on an axis of numbers


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
