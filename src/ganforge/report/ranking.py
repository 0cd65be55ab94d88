"""Ranks the jobs of a sweep by their best value of one score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganforge.compare.columns import Protocol, higher_is_better, protocol_of, scored
from ganforge.config.check import did_you_mean
from ganforge.errors import ConfigError
from ganforge.report.jobs import SweptJob
from ganforge.runs.past import PastRun


@dataclass(frozen=True)
class Ranking:
    """The best value of one score, measured by one protocol, for each job that has it.

    Attributes:
        name: logged name of the score.
        protocol: protocol of all values; values of other protocols are not ranked.
        higher: whether higher is better.
        values: best value by run folder.
        others: number of runs measured by another protocol.
    """

    name: str
    protocol: Protocol
    higher: bool
    values: dict[str, float]
    others: int

    def of(self, job: SweptJob) -> float | None:
        """Returns a job's best value; None if it has none."""
        return None if job.run is None else self.values.get(str(job.run.path))

    def ordered(self, jobs: Sequence[SweptJob]) -> list[SweptJob]:
        """Returns the jobs that have a value, best first."""
        pairs = [(value, job) for job in jobs if (value := self.of(job)) is not None]
        sign = -1 if self.higher else 1
        return [job for _, job in sorted(pairs, key=lambda pair: sign * pair[0])]


def rank(runs: Sequence[PastRun], wanted: str | None) -> Ranking | None:
    """Ranks runs by the score and protocol that most of them have.

    Args:
        runs: readable runs, finished or not.
        wanted: name of a score; None for the most frequent one (the first, if tied).

    Returns:
        The ranking; None if no run has a score with a direction.

    Raises:
        ConfigError: if no run has the score ``wanted``.
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
        members = {key: value for key, value in members.items() if key[0] == wanted}
    if not members:
        return None
    most = max(members, key=lambda key: len(members[key]))
    others = sum(len(value) for key, value in members.items() if key[0] == most[0] and key != most)
    return _ranking(most[0], members[most], others)


def _ranking(name: str, runs: list[PastRun], others: int) -> Ranking:
    higher = bool(higher_is_better(runs[0], name))
    best = {str(run.path): scored(run, name, higher).best for run in runs}
    values = {path: v for path, v in best.items() if v is not None and math.isfinite(v)}
    return Ranking(name, protocol_of(runs[0], name), higher, values, others)


def _key(protocol: Protocol) -> Any:
    # Labels are ignored, so that conditional and unconditional models are ranked together, as in
    # comparison tables.
    return frozenset((key, repr(value)) for key, value in protocol.items() if key != "labels")
