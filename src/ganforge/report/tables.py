"""Tables, lists, badges and the configuration of a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganforge.compare.cells import Table
from ganforge.report.markup import Markup, Named, element, join, note

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
