"""An axis of a parallel coordinates plot, either numeric or categorical."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganforge.report.charts.scales import Scale, fits_log, short

HEIGHT, TOP, BOTTOM = 380, 44, 24
LINE = 13  # minimum pixels between two legible labels
MOST_VALUES = 12  # maximum number of values labelled individually on a numeric axis


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
        found = [value for value in numbers if value is not None]
        if len(found) < len(numbers) or len(set(found)) < 2:
            return None
        return Scale.over(found, log=fits_log(found))

    @cached_property
    def words(self) -> list[str]:
        """The distinct values as words, in the order of first occurrence."""
        return list(dict.fromkeys(map(_word, self.values)))

    def place(self, value: Any) -> float:
        """Returns the position of a value, in pixels from the top."""
        if self.scale is not None:
            found = number(value)
            share = self.scale.place(found if found is not None else self.scale.low)
        else:
            share = 1 - (self.words.index(_word(value)) + 0.5) / len(self.words)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    def named(self) -> list[tuple[str, float]]:
        """Returns the labels of the axis with their positions."""
        if self.scale is None:
            return _apart([(word, self.place(word)) for word in self.words])
        numbers = sorted({found for v in self.values if (found := number(v)) is not None})
        shown = numbers if len(numbers) <= MOST_VALUES else self.scale.ticks()
        return _apart([(short(value), self.place(value)) for value in shown])


def number(value: Any) -> float | None:
    """Returns a setting as a finite number; None if it is not one."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _apart(named: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Returns the labels without those that would overlap an earlier one."""
    kept: list[tuple[str, float]] = []
    for text, y in named:
        if all(abs(y - other) >= LINE for _, other in kept):
            kept.append((text, y))
    return kept


def _word(value: Any) -> str:
    return "not set" if value is None else str(value)
