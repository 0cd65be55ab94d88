"""Which differences between groups are larger than the spread over seeds."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from ganforge.compare.columns import Column, Value
from ganforge.compare.groups import Group
from ganforge.compare.statistics import Welch, holm, welch


class Difference(NamedTuple):
    """Two groups in one column.

    Attributes:
        first: label of the group with the better mean, where the way up is known.
        second: label of the other.
        seeds: of the first and of the second.
        test: Welch's test of the two means; None where neither varies.
        p: the test's probability for all pairs of the column together; None without a test.
    """

    first: str
    second: str
    seeds: tuple[int, int]
    test: Welch | None
    p: float | None

    def verdict(self, level: float) -> str:
        """Returns what may be said.

        Args:
            level: probability below which a difference is called larger than the spread.
        """
        if self.p is None:
            return "no test: neither varies"
        return "larger than the spread" if self.p < level else "within the spread"


def differences(column: Column, groups: list[Group], value: Value) -> list[Difference]:
    """Tests every pair of groups of two seeds or more, the first-ranked ones first.

    Args:
        column: of one protocol.
        groups: all groups.
        value: what is compared.
    """
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
    """Returns why no difference to a group may be claimed; empty where one may."""
    if group.pooled:
        return "other settings than the seed are pooled"
    seeds = column.spread(group, value).n
    return "" if seeds > 1 else "one seed" if seeds else f"no {value} value"
