"""Tables, lists, badges and the configuration of a page, and the order of a sweep's jobs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganforge.compare.cells import Table
from ganforge.compare.columns import Protocol, higher_is_better, protocol_of, scored
from ganforge.config.check import did_you_mean
from ganforge.errors import ConfigError
from ganforge.report.jobs import SweptJob
from ganforge.report.markup import Markup, Named, element, join, note
from ganforge.runs.past import PastRun

MAX_ROWS = 40  # of a table without a scroll bar

MEANING = {
    "completed": "all steps are done",
    "running": "a process is training in the folder",
    "interrupted": "stopped by a signal; it can be resumed",
    "failed": "ended by an error",
    "killed": "ended without a message; it can be resumed from its last checkpoint",
    "pruned": "stopped early by its search",
    "pending": "not started",
    "skipped": "not run",
    "unreadable": "the folder's configuration is damaged",
    "unknown": "the folder has no summary that can be read",
}


def sortable(table: Table) -> Markup:
    """Returns a comparison table with its title, sortable by each column."""
    body = grid(table.columns, table.rows, table.title) if table.rows else None
    return join(element("h3", None, table.title), *map(note, table.notes), body)


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> Markup:
    """Returns a table that can be sorted by clicking a heading.

    Args:
        columns: headings.
        rows: cells of each row (text or markup), one per column.
        caption: description of the table for screen readers.
    """
    heads = [
        element("th", {"scope": "col"}, element("button", {"type": "button"}, name))
        for name in columns
    ]
    lines = [element("tr", None, *(element("td", None, cell) for cell in row)) for row in rows]
    table = element(
        "table",
        {"class": "sortable"},
        element("caption", {"class": "unseen"}, caption),
        element("thead", None, element("tr", None, *heads)),
        element("tbody", None, *lines),
    )
    kind = "scroll tall" if len(lines) > MAX_ROWS else "scroll"
    region: Named = {"class": kind, "tabindex": 0, "role": "region", "aria-label": caption}
    return element("div", region, table)


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Returns a list of names and values; pairs whose value is None or "" are left out."""
    items = [
        join(element("dt", None, name), element("dd", None, value))
        for name, value in pairs
        if value not in (None, "")
    ]
    return element("dl", {"class": "facts"}, *items)


def badge(state: str) -> Markup:
    """Returns a colored badge for a status, with its meaning as a tooltip."""
    known = state if state in MEANING else "unknown"
    return element("span", {"class": f"status {known}", "title": MEANING[known]}, state)


def configuration(settings: Mapping[str, Any], choices: Mapping[str, str]) -> Markup:
    """Returns all settings by the first part of their keys, collapsible and searchable.

    Args:
        settings: values by dotted key.
        choices: chosen option by config group, such as ``model: wgan_gp``.
    """
    groups: dict[str, list[tuple[str, Any]]] = {}
    for key, value in settings.items():
        first, _, rest = key.partition(".")
        groups.setdefault(first if rest else "run", []).append((key, value))
    search: Named = {"type": "search", "id": "config-search", "placeholder": "key or value"}
    label = element("label", {"for": "config-search"}, "Search ")
    matches = element("output", {"for": "config-search", "id": "config-found"})
    line: Named = {"class": "search needs-script"}
    field = element("p", line, label, element("input", search), " ", matches)
    folded = [_group(name, rows, choices.get(name)) for name, rows in groups.items()]
    return element("div", {"class": "config"}, field, *folded)


def _group(name: str, rows: list[tuple[str, Any]], choice: str | None) -> Markup:
    chosen = f"{name}: {choice}" if choice and choice != "None" else name
    count = element("span", {"class": "quiet"}, f" {len(rows)} keys" if len(rows) > 1 else " 1 key")
    lines = [
        element(
            "tr", None, element("th", {"scope": "row"}, key), element("td", None, as_text(value))
        )
        for key, value in rows
    ]
    table = element("table", {"class": "settings"}, element("tbody", None, *lines))
    return element("details", None, element("summary", None, chosen, count), table)


def as_text(value: Any) -> str:
    """Returns a value as text: a string unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


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
