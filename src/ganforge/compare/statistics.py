"""Means over seeds and significance tests, as pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """Mean and standard deviation over seeds.

    Attributes:
        n: number of values.
        mean: mean; NaN if there are no values.
        std: sample standard deviation (n - 1); None for fewer than two values.
    """

    n: int
    mean: float
    std: float | None


class Welch(NamedTuple):
    """Result of Welch's test of two means with possibly different variances.

    Attributes:
        difference: mean of the first minus mean of the second.
        t: the t statistic.
        degrees: degrees of freedom, by Welch and Satterthwaite.
        p: two-sided p-value.
    """

    difference: float
    t: float
    degrees: float
    p: float


def spread(values: Sequence[float]) -> Spread:
    """Returns the mean and standard deviation of values over seeds."""
    if not values:
        return Spread(0, math.nan, None)
    std = statistics.stdev(values) if len(values) > 1 else None
    return Spread(len(values), statistics.fmean(values), std)


def welch(first: Spread, second: Spread) -> Welch | None:
    """Returns Welch's t-test (Biometrika 34, 1947), two-sided.

    None if there is no spread to compare the difference with: a group has a single seed, or
    neither group varies.
    """
    if first.std is None or second.std is None:
        return None
    variances = first.std**2 / first.n, second.std**2 / second.n
    total = sum(variances)
    if total == 0:
        return None
    difference = first.mean - second.mean
    t = difference / math.sqrt(total)
    degrees = total**2 / (variances[0] ** 2 / (first.n - 1) + variances[1] ** 2 / (second.n - 1))
    return Welch(difference, t, degrees, two_sided(t, degrees))


def two_sided(t: float, degrees: float) -> float:
    """Returns the two-sided p-value of ``t`` under Student's t-distribution."""
    from scipy.special import stdtr  # type: ignore[import-untyped, unused-ignore]

    return float(2 * stdtr(degrees, -abs(t)))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Returns p-values adjusted for multiple tests (Holm, Scand. J. Statist. 6, 1979).

    Without adjustment, one of twenty pairs that do not differ falls below 0.05 by chance. With it,
    none does in 19 of 20 such tables.
    """
    order = sorted(range(len(probabilities)), key=lambda i: probabilities[i])
    adjusted = [0.0] * len(probabilities)
    least = 0.0  # keeps the adjusted values in the order of the original ones
    for rank, i in enumerate(order):
        least = max(least, min(1.0, probabilities[i] * (len(order) - rank)))
        adjusted[i] = least
    return adjusted
