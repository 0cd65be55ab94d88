"""A run's configuration, collapsible by group and searchable by key or value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ganforge.report.markup import Markup, element


def configuration(settings: Mapping[str, Any], choices: Mapping[str, str]) -> Markup:
    """Returns all settings, grouped by the first part of their keys.

    Args:
        settings: values by dotted key.
        choices: chosen option by config group, such as ``model: wgan_gp``.
    """
    groups: dict[str, list[tuple[str, Any]]] = {}
    for key, value in settings.items():
        first, _, rest = key.partition(".")
        groups.setdefault(first if rest else "run", []).append((key, value))
    field = element(
        "input",
        {"type": "search", "id": "config-search", "placeholder": "key or value"},
    )
    label = element("label", {"for": "config-search"}, "Search ")
    found = element("output", {"for": "config-search", "id": "config-found"})
    search = element("p", {"class": "search needs-script"}, label, field, " ", found)
    folded = [_group(name, rows, choices.get(name)) for name, rows in groups.items()]
    return element("div", {"class": "config"}, search, *folded)


def _group(name: str, rows: list[tuple[str, Any]], choice: str | None) -> Markup:
    chosen = f"{name}: {choice}" if choice and choice != "None" else name
    count = element("span", {"class": "quiet"}, f" {len(rows)} keys" if len(rows) > 1 else " 1 key")
    lines = [
        element("tr", None, element("th", {"scope": "row"}, key), element("td", None, shown(value)))
        for key, value in rows
    ]
    table = element("table", {"class": "settings"}, element("tbody", None, *lines))
    return element("details", None, element("summary", None, chosen, count), table)


def shown(value: Any) -> str:
    """Returns a value as text: a string unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
