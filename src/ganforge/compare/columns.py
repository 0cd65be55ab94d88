"""What was measured: one column for each score and protocol, never two protocols in one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ganforge.compare.groups import Group
from ganforge.compare.statistics import Spread, spread
from ganforge.runs.past import PastRun

# What an evaluation says beside its protocol.
OUTCOME = {"value", "std", "step", "images_seen", "higher_is_better"}
# Keys of the data that leave the real images as they are, or are told by the summary.
SAME_REALS = {
    "batch_size",
    "workers",
    "seed",
    "mirror",
    "num_classes",
    "class_names",
    "root",
    "in_memory",
}
SAME_REALS |= {"memory_limit_mb", "max_unreadable", "name", "_target_"}

Protocol = dict[str, Any]
Directions = Callable[[PastRun, str], bool | None]
Value = Literal["final", "best"]


class Scored(NamedTuple):
    """A score of one run.

    Attributes:
        final: at the last evaluation; NaN where it was not finite.
        best: of all evaluations of a trained generator; None where the way up is not known.
        images_to_best: images seen then.
        curve: the finite values of all evaluations, by images seen.
        seed: the run's.
    """

    final: float
    best: float | None
    images_to_best: int | None
    curve: dict[int, float]
    seed: Any


@dataclass(frozen=True)
class Column:
    """A score by one protocol.

    Attributes:
        name: as published, such as ``fid_classifier``.
        title: the name, and what its protocol has that others of the name have not.
        protocol: what makes two values comparable, the real images included.
        higher_is_better: which way is up; None where neither is, or where that is not
            known.
        values: of each run, by the group's label; groups without any are not in it.
    """

    name: str
    title: str
    protocol: Protocol
    higher_is_better: bool | None
    values: dict[str, list[Scored]]

    def spread(self, group: Group, value: Value) -> Spread:
        """Returns the last or the best values of a group's seeds; those not finite are left out."""
        if value == "best":
            return spread([v.best for v in self.of(group) if v.best is not None])
        return spread([v.final for v in self.of(group) if math.isfinite(v.final)])

    def seeds(self, group: Group) -> int:
        """Returns of how many different seeds a group's last values are, where finite."""
        return len({repr(v.seed) for v in self.of(group) if math.isfinite(v.final)})

    def images_to_best(self, group: Group) -> Spread:
        """Returns the images that a group's seeds had seen when they were best."""
        return spread([v.images_to_best for v in self.of(group) if v.images_to_best is not None])

    def not_finite(self, group: Group) -> int:
        """Returns how many of a group's last values were not finite."""
        return sum(not math.isfinite(value.final) for value in self.of(group))

    def of(self, group: Group) -> list[Scored]:
        """Returns the values of a group."""
        return self.values.get(group.label, [])

    def ranked(self, groups: list[Group], value: Value) -> list[Group]:
        """Returns the groups that have values, the best mean first where one way is up."""
        if self.higher_is_better is None:
            return [group for group in groups if self.of(group)]
        found = [group for group in groups if self.spread(group, value).n]
        sign = -1 if self.higher_is_better else 1
        return sorted(found, key=lambda group: sign * self.spread(group, value).mean)


class Measured(NamedTuple):
    """A value, and whose it is.

    Attributes:
        label: of the run's group.
        run: the run.
        name: of the score.
        protocol: by which it was measured.
    """

    label: str
    run: PastRun
    name: str
    protocol: Protocol


def columns_of(groups: list[Group], directions: Directions) -> list[Column]:
    """Returns a column for each score and protocol that any run has, in the runs' order.

    Values of different protocol are never averaged or compared: seeds of one experiment that were
    measured otherwise are found in columns of their own.

    Args:
        groups: all groups.
        directions: says of a run's score whether higher is better.
    """
    columns: dict[str, dict[Any, Column]] = {}  # by name, so that namesakes stand together
    for label, run, name, protocol in _joined(_measured(groups)):
        namesakes = columns.setdefault(name, {})
        higher = directions(run, name)
        column = namesakes.setdefault(_key(protocol), Column(name, "", protocol, higher, {}))
        column.values.setdefault(label, []).append(scored(run, name, column.higher_is_better))
    return [column for kin in columns.values() for column in _titled(list(kin.values()))]


def protocol_of(run: PastRun, name: str) -> Protocol:
    """Returns all that two values must share to be comparable, the data included.

    Args:
        run: whose score it is.
        name: of the score.
    """
    data = {
        key: value
        for key in run.settings
        if key.startswith("data.") and key.split(".")[1] not in SAME_REALS
        if (value := run.setting(key)) is not None
    }
    entry = run.summary["metrics"][name]
    return {"data": run.summary.get("data")} | {
        key: value for key, value in (entry | data).items() if key not in OUTCOME
    }


def scored(run: PastRun, name: str, higher: bool | None) -> Scored:
    """Returns a run's last and best value of a score."""
    value = run.summary["metrics"][name].get("value")
    final = math.nan if value is None else float(value)
    needed = ("step", "images_seen", name)
    history = run.summary.get("history", [])
    points = [p for p in history if all(p.get(key) is not None for key in needed)]
    curve = {int(p["images_seen"]): float(p[name]) for p in points}
    # A generator that has not learned is no candidate, as for checkpoints.
    trained = {int(p["images_seen"]): float(p[name]) for p in points if p["step"] > 0}
    if higher is None or not trained:
        return Scored(final, None, None, curve, run.seed)
    images = (max if higher else min)(trained, key=lambda place: trained[place])
    return Scored(final, trained[images], images, curve, run.seed)


def _measured(groups: list[Group]) -> list[Measured]:
    return [
        Measured(group.label, run, name, protocol_of(run, name))
        for group in groups
        for run in group.runs
        for name, entry in run.summary.get("metrics", {}).items()
        if "step" in entry  # what a score has to beat has none
    ]


def _joined(found: list[Measured]) -> list[Measured]:
    """Lets models with and without classes share a column, which is how they are compared.

    The classes that images are asked for are a choice only where there are any: models without are
    measured by the one choice that was made, and stay apart where there were several.
    """
    choices: dict[Any, set[Any]] = {}
    for one in found:
        choices.setdefault(_unasked(one), set()).add(one.protocol.get("labels"))
    joined = []
    for one in found:
        made = choices[_unasked(one)] - {None}
        if len(made) == 1 and None in choices[_unasked(one)]:
            labels = f"{next(iter(made))} where there are classes"
            one = one._replace(protocol=one.protocol | {"labels": labels})
        joined.append(one)
    return joined


def _unasked(one: Measured) -> Any:
    return one.name, _key({k: v for k, v in one.protocol.items() if k != "labels"})


def _key(protocol: Protocol) -> Any:
    return frozenset((key, repr(value)) for key, value in protocol.items())


def _titled(namesakes: list[Column]) -> Iterable[Column]:
    """Titles columns of one name by what their protocols differ in: ``fid (n_fake=2000)``."""
    keys = dict.fromkeys(key for column in namesakes for key in column.protocol)
    telling = [k for k in keys if len({repr(c.protocol.get(k)) for c in namesakes}) > 1]
    for column in namesakes:
        told = ", ".join(f"{k}={column.protocol.get(k, 'none')}" for k in telling)
        title = f"{column.name} ({told})" if told else column.name
        yield Column(column.name, title, column.protocol, column.higher_is_better, column.values)
