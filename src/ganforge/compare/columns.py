"""Columns of a comparison: one for each score and protocol, never mixing protocols."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from ganforge.compare.groups import Group
from ganforge.compare.statistics import Spread, spread
from ganforge.runs.past import PastRun
from ganforge.runs.stored.trust import may_import

# Keys of an evaluation that are results and not part of its protocol.
OUTCOME = {"value", "std", "step", "images_seen", "higher_is_better"}
# Data settings that do not change the real images, or that the summary already covers.
SAME_REALS = {"batch_size", "workers", "seed", "mirror", "num_classes", "class_names", "root"}
SAME_REALS |= {"in_memory", "memory_limit_mb", "max_unreadable", "name", "_target_"}
SAME_REALS |= {"cache", "cache_limit_mb"}

Protocol = dict[str, Any]
Value = Literal["final", "best"]


class Scored(NamedTuple):
    """A score of one run.

    Attributes:
        final: value at the last evaluation; NaN if it was not finite.
        best: best value of all evaluations after step 0; None if the better direction is unknown.
        images_to_best: images seen at the best evaluation.
        curve: finite values of all evaluations, by images seen.
        seed: seed of the run.
    """

    final: float
    best: float | None
    images_to_best: int | None
    curve: dict[int, float]
    seed: Any


@dataclass(frozen=True)
class Column:
    """A score measured by one protocol.

    Attributes:
        name: published name, such as ``fid_classifier``.
        title: the name, plus the settings in which the protocols of equal names differ.
        protocol: settings that must be equal for values to be comparable, including the data.
        higher_is_better: whether higher is better; None if neither direction is better, or if it
            is unknown.
        values: values of each group's runs, by group label; groups without values are left out.
    """

    name: str
    title: str
    protocol: Protocol
    higher_is_better: bool | None
    values: dict[str, list[Scored]]

    def spread(self, group: Group, value: Value) -> Spread:
        """Returns the spread of a group's final or best values; non-finite values are left out."""
        if value == "best":
            return spread([v.best for v in self.of(group) if v.best is not None])
        return spread([v.final for v in self.of(group) if math.isfinite(v.final)])

    def seeds(self, group: Group) -> int:
        """Returns the number of distinct seeds with a finite final value."""
        return len({repr(v.seed) for v in self.of(group) if math.isfinite(v.final)})

    def images_to_best(self, group: Group) -> Spread:
        """Returns the spread of the images seen at the best evaluation of each run."""
        return spread([v.images_to_best for v in self.of(group) if v.images_to_best is not None])

    def not_finite(self, group: Group) -> int:
        """Returns the number of a group's final values that are not finite."""
        return sum(not math.isfinite(value.final) for value in self.of(group))

    def of(self, group: Group) -> list[Scored]:
        """Returns the values of a group."""
        return self.values.get(group.label, [])

    def ranked(self, groups: list[Group], value: Value) -> list[Group]:
        """Returns the groups with values, best mean first if the better direction is known."""
        if self.higher_is_better is None:
            return [group for group in groups if self.of(group)]
        scored = [group for group in groups if self.spread(group, value).n]
        sign = -1 if self.higher_is_better else 1
        return sorted(scored, key=lambda group: sign * self.spread(group, value).mean)


class Measured(NamedTuple):
    """A measured score and its origin.

    Attributes:
        label: label of the run's group.
        run: the run.
        name: name of the score.
        protocol: protocol of the measurement.
    """

    label: str
    run: PastRun
    name: str
    protocol: Protocol


def columns_of(groups: list[Group]) -> list[Column]:
    """Returns one column for each score and protocol of any run, in the order of the runs.

    Values with different protocols are never averaged or compared: seeds of one experiment that
    were measured differently end up in separate columns.
    """
    columns: dict[str, dict[Any, Column]] = {}  # by name, so that equal names are adjacent
    for label, run, name, protocol in _joined(_measured(groups)):
        namesakes = columns.setdefault(name, {})
        higher = higher_is_better(run, name)
        column = namesakes.setdefault(_key(protocol), Column(name, "", protocol, higher, {}))
        column.values.setdefault(label, []).append(scored(run, name, column.higher_is_better))
    return [column for kin in columns.values() for column in _titled(list(kin.values()))]


def protocol_of(run: PastRun, name: str) -> Protocol:
    """Returns the settings that must be equal for two values to be comparable, with the data."""
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
    """Returns a run's final and best value of a score, and its curve."""
    value = run.summary["metrics"][name].get("value")
    final = math.nan if value is None else float(value)
    needed = ("step", "images_seen", name)
    history = run.summary.get("history", [])
    points = [p for p in history if all(p.get(key) is not None for key in needed)]
    curve = {int(p["images_seen"]): float(p[name]) for p in points}
    # Step 0 is excluded, as it is when the best checkpoint is chosen.
    trained = {int(p["images_seen"]): float(p[name]) for p in points if p["step"] > 0}
    if higher is None or not trained:
        return Scored(final, None, None, curve, run.seed)
    images = (max if higher else min)(trained, key=lambda images: trained[images])
    return Scored(final, trained[images], images, curve, run.seed)


def higher_is_better(run: PastRun, name: str) -> bool | None:
    """Returns whether a higher value of a run's score is better; None if that is unknown.

    Read from the run's summary, or from the class of the score. ``name`` is the published name,
    such as ``fid_classifier_AtoB``.
    """
    stored = run.summary["metrics"][name].get("higher_is_better")
    if isinstance(stored, bool):
        return stored
    # Published names are the configured name plus the feature extractor and the direction.
    known = [key.split(".")[1] for key in run.settings if _is_score(key)]
    matches = [one for one in known if f"{name}_".startswith(f"{one}_")]
    if not matches:
        return None
    return _direction_of(str(run.settings[f"metrics.{max(matches, key=len)}._target_"]))


def _is_score(key: str) -> bool:
    return key.startswith("metrics.") and key.endswith("._target_") and key.count(".") == 2


@cache
def _direction_of(target: str) -> bool | None:
    module, _, name = target.rpartition(".")
    if not may_import(target):
        return None
    try:  # imports torch, which takes seconds
        higher = getattr(getattr(importlib.import_module(module), name), "higher_is_better", None)
    except Exception:  # a user's own score whose module is not available here
        return None
    return higher if isinstance(higher, bool) else None


def _measured(groups: list[Group]) -> list[Measured]:
    return [
        Measured(group.label, run, name, protocol_of(run, name))
        for group in groups
        for run in group.runs
        for name, entry in run.summary.get("metrics", {}).items()
        if "step" in entry  # baselines have no step
    ]


def _joined(measured: list[Measured]) -> list[Measured]:
    """Puts models with and without classes into the same column where that is unambiguous.

    The ``labels`` setting applies only to models with classes. If these all use the same setting,
    models without classes join their column. Otherwise they keep a separate one.
    """
    choices: dict[Any, set[Any]] = {}
    for one in measured:
        choices.setdefault(_without_labels(one), set()).add(one.protocol.get("labels"))
    joined = []
    for one in measured:
        settings = choices[_without_labels(one)]
        if len(settings) == 2 and None in settings:
            labels = f"{next(iter(settings - {None}))} where there are classes"
            one = one._replace(protocol=one.protocol | {"labels": labels})
        joined.append(one)
    return joined


def _without_labels(one: Measured) -> Any:
    return one.name, _key({k: v for k, v in one.protocol.items() if k != "labels"})


def _key(protocol: Protocol) -> Any:
    return frozenset((key, repr(value)) for key, value in protocol.items())


def _titled(namesakes: list[Column]) -> Iterable[Column]:
    """Titles columns of equal name by the settings that differ: ``fid (n_fake=2000)``."""
    keys = dict.fromkeys(key for column in namesakes for key in column.protocol)
    distinguishing_keys = [k for k in keys if len({repr(c.protocol.get(k)) for c in namesakes}) > 1]
    for column in namesakes:
        text = ", ".join(f"{k}={column.protocol.get(k, 'none')}" for k in distinguishing_keys)
        title = f"{column.name} ({text})" if text else column.name
        yield Column(column.name, title, column.protocol, column.higher_is_better, column.values)
