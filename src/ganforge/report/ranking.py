"""By which score the jobs of a sweep are ranked, and what each of them has reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganforge.compare.columns import Protocol, protocol_of, scored
from ganforge.compare.directions import higher_is_better
from ganforge.config.check import did_you_mean
from ganforge.errors import ConfigError
from ganforge.report.jobs import SweptJob
from ganforge.runs.past import PastRun


@dataclass(frozen=True)
class Ranking:
    """The best value of one score by one protocol, of each job that has it.

    Attributes:
        name: of the score, as published.
        protocol: what the values share; values of another protocol do not count.
        higher: whether higher is better.
        values: by the job's folder.
        others: how many jobs were measured by another protocol.
    """

    name: str
    protocol: Protocol
    higher: bool
    values: dict[str, float]
    others: int

    def of(self, job: SweptJob) -> float | None:
        """Returns a job's best value; None of one that has none."""
        return None if job.run is None else self.values.get(str(job.run.path))

    def ordered(self, jobs: Sequence[SweptJob]) -> list[SweptJob]:
        """Returns the jobs that have a value, the best first."""
        found = [(value, job) for job in jobs if (value := self.of(job)) is not None]
        sign = -1 if self.higher else 1
        return [job for _, job in sorted(found, key=lambda one: sign * one[0])]


def rank(runs: Sequence[PastRun], wanted: str | None) -> Ranking | None:
    """Ranks runs by the score and protocol that most of them have.

    Args:
        runs: those that could be read, finished or not.
        wanted: name of a score; None for the first that most have been measured by.

    Returns:
        None where no run has a score of which a value is better than another.

    Raises:
        ConfigError: a name that no run has.
    """
    members: dict[Any, list[PastRun]] = {}
    for run in runs:
        for name, entry in run.summary.get("metrics", {}).items():
            if "step" in entry and higher_is_better(run, name) is not None:
                members.setdefault((name, _key(protocol_of(run, name))), []).append(run)
    if wanted is not None:
        known = sorted({name for name, _ in members})
        if wanted not in known:
            raise ConfigError(f"score={wanted}: no run has it; {did_you_mean(wanted, known)}")
        members = {key: found for key, found in members.items() if key[0] == wanted}
    if not members:
        return None
    most = max(members, key=lambda key: len(members[key]))
    others = sum(len(found) for key, found in members.items() if key[0] == most[0] and key != most)
    return _ranking(most[0], members[most], others)


def _ranking(name: str, runs: list[PastRun], others: int) -> Ranking:
    higher = bool(higher_is_better(runs[0], name))
    found = {str(run.path): scored(run, name, higher).best for run in runs}
    values = {path: v for path, v in found.items() if v is not None and math.isfinite(v)}
    return Ranking(name, protocol_of(runs[0], name), higher, values, others)


def _key(protocol: Protocol) -> Any:
    # Models with and without classes are compared, as in a comparison's tables.
    return frozenset((key, repr(value)) for key, value in protocol.items() if key != "labels")
