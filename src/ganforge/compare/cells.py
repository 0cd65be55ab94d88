"""Tables that render both as Markdown and on the terminal."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from ganforge.compare.statistics import Spread
from ganforge.plain_text import one_line


@dataclass(frozen=True)
class Table:
    """A table of text with a title and notes.

    Attributes:
        title: heading.
        columns: names of the columns.
        rows: rows of cells, one cell per column.
        notes: sentences shown with the table.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Returns the heading, the notes and the table as GitHub-flavored Markdown."""
        lines = [f"## {_escaped(self.title)}", ""]
        for note in self.notes:
            lines += [_escaped(note), ""]
        if self.rows:
            lines += [_line(self.columns), f"|{' --- |' * len(self.columns)}"]
            lines += [_line(row) for row in self.rows]
        return "\n".join(lines).rstrip() + "\n"

    def without(self, *names: str) -> Table:
        """Returns the table without the named columns, for narrow outputs."""
        kept = [i for i, name in enumerate(self.columns) if name not in names]
        columns, *rows = ([row[i] for i in kept] for row in (self.columns, *self.rows))
        return replace(self, columns=columns, rows=rows)

    def rich(self) -> Group:
        """Returns the table as a rich renderable for the terminal."""
        notes = [Text(one_line(note)) for note in self.notes]
        title = Text(one_line(self.title))
        if not self.rows:
            return Group(title, *notes)
        table = RichTable(title=title, title_justify="left")
        for column in self.columns:
            table.add_column(Text(one_line(column)), overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))  # Text: brackets are not markup
        return Group(table, *notes)


def cell(spread: Spread, digits: int = 4) -> str:
    """Returns ``12.34 ± 0.56``, to two digits of the spread; only the mean for a single seed.

    Args:
        spread: mean and standard deviation; "-" is returned if it has no values.
        digits: significant digits of a mean without spread.
    """
    if not spread.n:
        return "-"
    if not spread.std:
        return plain(spread.mean, digits) + ("" if spread.std is None else " ± 0")
    decimals = min(max(1 - math.floor(math.log10(spread.std)), 0), 9)
    return f"{spread.mean:,.{decimals}f} ± {spread.std:,.{decimals}f}"


def plain(value: float, digits: int = 4) -> str:
    """Returns a number with ``digits`` significant digits; large numbers as whole numbers."""
    if math.isfinite(value) and abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    # An underscore inside a word is not markup, and reads better without a backslash.
    marks = r"[\\|*<`\[]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(marks, lambda mark: f"\\{mark[0]}", one_line(text.replace("\n", " ")))
