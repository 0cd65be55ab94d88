"""Scales and ticks of axes, as pure functions."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

MAX_TICKS = 6
MAX = sys.float_info.max
SMALLEST, LARGEST = math.log(sys.float_info.min), math.log(MAX)
LOG_SPAN = 20.0  # minimum ratio of largest to smallest value for a logarithmic axis


@dataclass(frozen=True)
class Scale:
    """The scale of an axis.

    Attributes:
        low: lower end.
        high: upper end, above ``low``.
        log: whether the scale is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], log: bool = False, margin: float = 0.04) -> Scale:
        """Returns a scale that covers all values.

        Args:
            values: finite values; must be positive if ``log``.
            log: whether the scale is logarithmic.
            margin: free space at each end, as a fraction of the range.
        """
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if log:
            start, end = math.log(low), math.log(high)
            free = (end - start) * margin if end > start else 0.5
            return cls(
                math.exp(max(start - free, SMALLEST)), math.exp(min(end + free, LARGEST)), True
            )
        # Scaled separately: high - low may overflow to infinity.
        free = high * margin - low * margin if high > low else abs(low) * 0.1 or 1.0
        return cls(max(low - free, -MAX), min(high + free, MAX))

    def position(self, value: float) -> float:
        """Returns the relative position of a value, from 0 at ``low`` to 1 at ``high``."""
        if self.log:
            start = math.log(self.low)
            return (math.log(value) - start) / (math.log(self.high) - start)
        half = self.high / 2 - self.low / 2  # halved first: the difference may overflow
        return (value / 2 - self.low / 2) / half

    def ticks(self) -> list[float]:
        """Returns round values for the axis labels."""
        if self.log:
            return log_ticks(self.low, self.high)
        return ticks(self.low, self.high)


def fits_log(values: Sequence[float]) -> bool:
    """Returns whether all values are positive and span a ratio of at least LOG_SPAN."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= LOG_SPAN


def ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Returns about ``most`` multiples of 1, 2 or 5 times a power of ten in [low, high]."""
    rough = high / most - low / most
    if not 0 < rough < math.inf:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((f * power for f in (1, 2, 5) if f * power >= rough * 0.999), 10 * power)
    if not 0 < step < math.inf:
        return [low, high]
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Returns powers of ten in [low, high], both positive.

    If there are fewer than 3, adds multiples by 3, then by 2 and 5.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / most))
    for factors in ((1,), (1, 3), (1, 2, 5)):
        values = [
            float(f"{factor}e{power}")
            for power in range(first, last + 1)
            if power % every == 0
            for factor in factors
        ]
        inside = [value for value in values if low <= value <= high]
        if len(inside) >= 3:
            return inside
    return inside or ticks(low, high)


def short(value: float) -> str:
    """Returns a short tick label: ``1.2M``, ``500k``, ``0.02``, ``1e-05``."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= abs(value) < 1e12:
            return f"{value / limit:.6g}{letter}"
    return f"{value:.6g}"
