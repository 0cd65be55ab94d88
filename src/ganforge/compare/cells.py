"""Tables that are the same in Markdown and on the terminal."""

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
    """Rows of text under a title.

    Attributes:
        title: heading.
        columns: their names.
        rows: cells, as many as there are columns.
        notes: sentences that belong to it.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Returns a heading, the notes and a table as GitHub renders it."""
        lines = [f"## {_escaped(self.title)}", ""]
        for note in self.notes:
            lines += [_escaped(note), ""]
        if self.rows:
            lines += [_line(self.columns), f"|{' --- |' * len(self.columns)}"]
            lines += [_line(row) for row in self.rows]
        return "\n".join(lines).rstrip() + "\n"

    def without(self, *names: str) -> Table:
        """Returns the same without some columns, for where there is little room."""
        kept = [place for place, name in enumerate(self.columns) if name not in names]
        columns, *rows = ([row[place] for place in kept] for row in (self.columns, *self.rows))
        return replace(self, columns=columns, rows=rows)

    def rich(self) -> Group:
        """Returns the same for the terminal."""
        notes = [Text(one_line(note)) for note in self.notes]
        title = Text(one_line(self.title))
        if not self.rows:
            return Group(title, *notes)
        table = RichTable(title=title, title_justify="left")
        for column in self.columns:
            table.add_column(Text(one_line(column)), overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))  # brackets in it are no markup
        return Group(table, *notes)


def cell(spread: Spread, digits: int = 4) -> str:
    """Returns ``12.34 ± 0.56``, to two digits of the spread; the mean alone of one seed.

    Args:
        spread: mean and standard deviation; "-" of no value.
        digits: significant ones of a mean without spread.
    """
    if not spread.n:
        return "-"
    if not spread.std:
        return plain(spread.mean, digits) + ("" if spread.std is None else " ± 0")
    decimals = min(max(1 - math.floor(math.log10(spread.std)), 0), 9)
    return f"{spread.mean:,.{decimals}f} ± {spread.std:,.{decimals}f}"


def plain(value: float, digits: int = 4) -> str:
    """Returns a number with that many digits, and large ones whole.

    Args:
        value: any number.
        digits: significant ones.
    """
    if math.isfinite(value) and abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    # An underline within a word marks nothing, and reads better without a backslash.
    marks = r"[\\|*<`\[]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(marks, lambda mark: f"\\{mark[0]}", one_line(text.replace("\n", " ")))
