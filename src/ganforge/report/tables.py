"""Tables of a page; comparison tables have the same layout as on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ganforge.compare.cells import Table
from ganforge.report.markup import Markup, Named, element, join

FOLDED = 40  # number of rows above which a table gets a scroll bar


def sortable(table: Table) -> Markup:
    """Returns a comparison table with its title, sortable by each column."""
    notes = [element("p", {"class": "note"}, note) for note in table.notes]
    body = grid(table.columns, table.rows, table.title) if table.rows else None
    return join(element("h3", None, table.title), *notes, body)


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
    kind = "scroll tall" if len(lines) > FOLDED else "scroll"
    told: Named = {"class": kind, "tabindex": 0, "role": "region", "aria-label": caption}
    return element("div", told, table)


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Returns a list of names and values; pairs whose value is None or "" are left out."""
    told = [
        join(element("dt", None, name), element("dd", None, value))
        for name, value in pairs
        if value not in (None, "")
    ]
    return element("dl", {"class": "facts"}, *told)
