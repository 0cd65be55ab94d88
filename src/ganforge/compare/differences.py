"""Tests which differences between groups are larger than the spread over seeds."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from ganforge.compare.columns import Column, Value
from ganforge.compare.groups import Group
from ganforge.compare.statistics import Welch, holm, welch


class Difference(NamedTuple):
    """The difference of two groups in one column.

    Attributes:
        first: label of the group with the better mean, if the better direction is known.
        second: label of the other group.
        seeds: number of seeds of the first and of the second group.
        test: Welch's test of the two means; None if neither group varies.
        p: p-value adjusted for all pairs of the column; None without a test.
    """

    first: str
    second: str
    seeds: tuple[int, int]
    test: Welch | None
    p: float | None

    def verdict(self, level: float) -> str:
        """Returns the conclusion, with ``level`` as significance level."""
        if self.p is None:
            return "no test: neither varies"
        return "larger than the spread" if self.p < level else "within the spread"


def differences(column: Column, groups: list[Group], value: Value) -> list[Difference]:
    """Tests every pair of groups with at least two seeds, in the order of their ranks."""
    able = [g for g in column.ranked(groups, value) if not why_not(column, g, value)]
    spreads = {group.label: column.spread(group, value) for group in able}
    pairs = list(itertools.combinations(spreads, 2))
    tests = [welch(spreads[a], spreads[b]) for a, b in pairs]
    adjusted = iter(holm([test.p for test in tests if test is not None]))
    return [
        Difference(a, b, (spreads[a].n, spreads[b].n), test, next(adjusted) if test else None)
        for (a, b), test in zip(pairs, tests, strict=True)
    ]


def why_not(column: Column, group: Group, value: Value) -> str:
    """Returns the reason why no difference to a group can be claimed; "" if there is none."""
    if group.pooled:
        return "other settings than the seed are pooled"
    seeds = column.spread(group, value).n
    return "" if seeds > 1 else "one seed" if seeds else f"no {value} value"
