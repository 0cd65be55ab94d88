"""A comparison as tables: scores, costs, differences and omitted runs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

from ganforge.compare.cells import Table, cell, plain
from ganforge.compare.columns import Column, Value, columns_of
from ganforge.compare.groups import Group, group_runs
from ganforge.compare.statistics import Spread, Welch, holm, spread, welch
from ganforge.runs.past import PastRun

MAX_PAIRS = 15  # six groups; with more, only the pairs with the first group are shown
MAX_NAMES = 6
PREFACE = """\
Values are mean ± standard deviation (n - 1) over seeds. *final*: at the last evaluation. *best*: \
each run's best evaluation, chosen by the score itself, so it is slightly optimistic. *images to \
best*: real images seen until then.
"""
MAX_SETTINGS = 4


@dataclass(frozen=True)
class Comparison:
    """Groups and columns, with the settings of their comparison.

    Attributes:
        groups: groups of runs that differ in their seed.
        columns: scores by protocol.
        value: "final" or "best", the values by which groups are ranked and tested.
        level: significance level, for all pairs of a column together.
    """

    groups: list[Group]
    columns: list[Column]
    value: Value
    level: float

    @classmethod
    def of(cls, runs: list[PastRun], by: list[str], value: Value, level: float) -> Comparison:
        """Compares runs, grouped by ``by`` as in :func:`group_runs`."""
        groups = group_runs(runs, by) if runs else []
        return cls(groups, columns_of(groups), value, level)

    def summary(self) -> list[Table]:
        """Returns the tables for the terminal: all scores, differences, costs and omitted runs."""
        tables = [table for column in self.columns for table in self._differences(column)]
        tables = [table.without("t", "degrees", "p") for table in tables]
        return [self._overview(), *tables, cost_table(self.groups), *self._omitted()]

    def markdown(self, figure: str | None) -> str:
        """Returns the full report as Markdown; ``figure`` is the file of the curves, if any."""
        parts = ["# Comparison\n", PREFACE, self._overview().markdown()]
        for column in self.columns:
            parts += [self._scores(column).markdown()]
            parts += [table.markdown() for table in self._differences(column)]
        parts += [table.markdown() for table in (cost_table(self.groups), *self._omitted())]
        if figure is not None:
            parts.append(f"## Curves\n\n![Scores over the real images seen]({figure})\n")
        return "\n".join(parts)

    def ordered(self) -> list[Group]:
        """Returns the groups, ranked by the first column; groups without values come last."""
        best = self.columns[0].ranked(self.groups, self.value) if self.columns else []
        return best + [group for group in self.groups if group not in best]

    def _overview(self) -> Table:
        rows = [
            [g.label, str(g.seeds), *(cell(c.spread(g, self.value)) for c in self.columns)]
            for g in self.ordered()
        ]
        names = ["group", "seeds", *(column.title for column in self.columns)]
        runs = sum(len(group.runs) for group in self.groups)
        title = f"{runs} completed runs in {len(self.groups)} groups: {self.value} scores"
        return Table(title, names, rows, self._split())

    def _split(self) -> list[str]:
        """Returns notes on scores that were measured by several protocols."""
        names = [column.name for column in self.columns]
        return [
            f"{name} was measured by {names.count(name)} protocols: values of one can't be "
            "compared with those of another, and are in separate columns."
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]

    def _scores(self, column: Column) -> Table:
        rows = [
            [
                group.label,
                str(column.seeds(group)),
                cell(column.spread(group, "final")),
                cell(column.spread(group, "best")),
                cell(column.images_to_best(group), 6),
            ]
            for group in column.ranked(self.groups, self.value)
        ]
        better = {True: "higher is better", False: "lower is better", None: "neither is better"}
        names = ["group", "seeds", "final", "best", "images to best"]
        title = f"{column.title}: {better[column.higher_is_better]}"
        return Table(title, names, rows, [_protocol(column), *_lost(column, self.groups)])

    def _differences(self, column: Column) -> list[Table]:
        pairs = differences(column, self.groups, self.value)
        notes = self._unclaimed(column)
        if pairs:
            notes.insert(0, self._test(len(pairs)))
        if len(pairs) > MAX_PAIRS:
            first = pairs[0].first
            notes.append(f"Shown are the pairs with {first}, the first of its table.")
            pairs = [one for one in pairs if one.first == first]
        names = ["groups", "seeds", "difference", "t", "degrees", "p", "p (Holm)", "verdict"]
        rows = [self._difference(one) for one in pairs]
        title = f"Differences in {column.title}"
        return [Table(title, names, rows, notes)] if len(column.values) > 1 else []

    def _unclaimed(self, column: Column) -> list[str]:
        reasons: dict[str, list[str]] = {}
        for group in column.ranked(self.groups, self.value):
            if reason := why_not(column, group, self.value):
                reasons.setdefault(reason, []).append(group.label)
        return [
            f"No difference to {_some(labels)} is claimed: {reason}."
            for reason, labels in reasons.items()
        ]

    def _test(self, pairs: int) -> str:
        return (
            f"Welch's t-test of the {self.value} values, two-sided, with its degrees of freedom. "
            f"p (Holm) holds for all pairs ({pairs}) together; below {self.level:g} a difference "
            "is called larger than the spread over seeds."
        )

    def _difference(self, one: Difference) -> list[str]:
        head = [f"{one.first} - {one.second}", f"{one.seeds[0]} and {one.seeds[1]}"]
        if one.test is None or one.p is None:
            return [*head, *["-"] * 5, one.verdict(self.level)]
        difference, t, degrees, p = one.test
        numbers = [plain(difference), plain(t, 3), plain(degrees, 3), plain(p, 2), plain(one.p, 2)]
        return [*head, *numbers, one.verdict(self.level)]

    def _omitted(self) -> list[Table]:
        rows = [
            [
                str(one.run.path),
                group.label,
                one.reason,
                str(one.run.summary.get("step", "-")),
                str(one.run.summary.get("error", "")).partition("\n")[0],
            ]
            for group in self.groups
            for one in group.omitted
        ]
        names = ["run", "group", "status", "step", "error"]
        return [Table("Runs that do not count", names, rows)] if rows else []


def _some(labels: list[str]) -> str:
    if len(labels) > MAX_NAMES:
        return f"{len(labels)} groups"
    return "; ".join(labels)


def _protocol(column: Column) -> str:
    return f"Protocol: {', '.join(f'{key}={value}' for key, value in column.protocol.items())}."


def _lost(column: Column, groups: list[Group]) -> list[str]:
    return [
        f"{group.label}: {lost} not finite at the end, and left out of the mean."
        for group in groups
        if (lost := column.not_finite(group))
    ]


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


def cost(group: Group, name: str) -> Spread:
    """Returns the spread of a summary's number: seconds, images_seen or images_per_second."""
    return spread([value for run in group.runs if (value := run.number(name)) is not None])


def parameters(group: Group, player: str) -> list[int]:
    """Returns the distinct network sizes of a group; only one unless settings were pooled."""
    counts = (run.summary.get("parameters", {}).get(player) for run in group.runs)
    return sorted({int(count) for count in counts if count is not None})


def device_of(run: PastRun) -> str:
    """Returns the device that a run was trained on, without the reason for its choice."""
    return str(run.summary.get("device", "unknown")).partition(" (no ")[0]


def cost_table(groups: list[Group]) -> Table:
    """Returns a table with a row for each group, with a device column if the devices differ."""
    names = ["group", "images seen", "seconds", "images/s"]
    names += ["generator parameters", "discriminator parameters"]
    rows = [_row(group) for group in groups]
    notes = ["Seconds of training, without evaluations and pictures."]
    if len({device_of(run) for group in groups for run in group.runs}) > 1:
        names.append("device")
        rows = [[*row, _devices(group)] for row, group in zip(rows, groups, strict=True)]
        notes.append("Devices differ, so seconds and images/s cannot be compared.")
    notes += [
        f"{group.label} pools runs that differ in {_some_settings(group.pooled)} too."
        for group in groups
        if group.pooled
    ]
    return Table("Cost", names, rows, notes)


def _row(group: Group) -> list[str]:
    alike = len({device_of(run) for run in group.runs}) == 1
    timed = [cell(cost(group, name)) if alike else "-" for name in ("seconds", "images_per_second")]
    sizes = [_sizes(parameters(group, player)) for player in ("generator", "discriminator")]
    return [group.label, cell(cost(group, "images_seen"), 6), *timed, *sizes]


def _sizes(counts: list[int]) -> str:
    if not counts:
        return "-"
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _devices(group: Group) -> str:
    return "; ".join(sorted({device_of(run) for run in group.runs})) or "-"


def _some_settings(settings: list[str]) -> str:
    more = len(settings) - MAX_SETTINGS
    return ", ".join(settings[:MAX_SETTINGS]) + (f" and {more} more" if more > 0 else "")
