"""Reading a run's metrics.csv, even if a kill, a disk error or a partial copy damaged it."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from ganforge.regular_files import read_regular

FIRST = ("step", "images_seen", "seconds")
MOST_BYTES = 2**31
MOST_DIGITS = 18  # of a count; Python refuses to convert strings of thousands of digits

Row = dict[str, str]


@dataclass(frozen=True)
class LoggedRows:
    """The readable part of a metrics.csv.

    Attributes:
        columns: names of the columns; empty if the first line is not the header of a metrics.csv.
        rows: the complete rows, all cells as text.
        torn: number of rows that could not be read.
        damaged: whether more than the last row is lost. Any kill can truncate the last row.
    """

    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    torn: int = 0
    damaged: bool = False

    @classmethod
    def read(cls, path: Path) -> LoggedRows:
        """Reads a file row by row and skips the damaged rows.

        Raises:
            OSError: the file does not exist, is a link, is not a regular file, or is too large.
        """
        data = read_regular(path, MOST_BYTES)
        head, *lines = [_cells(line) for line in data.splitlines()] or [None]
        if head is None or not set(FIRST) <= set(head) or len(set(head)) < len(head):
            return cls(torn=len(lines), damaged=bool(data))
        rows = [_row(head, cells) for cells in lines if cells != []]
        whole = [row for row in rows if row is not None]
        cut = bool(rows) and rows[-1] is None
        return cls(head, whole, len(rows) - len(whole), len(rows) - len(whole) > cut)


def _cells(line: bytes) -> list[str] | None:
    """Returns the cells of a line; None if it is not valid UTF-8 or CSV."""
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return None


def _row(columns: list[str], cells: list[str] | None) -> Row | None:
    if cells is None or len(cells) != len(columns):
        return None
    row = dict(zip(columns, cells, strict=True))
    counts = (row["step"], row["images_seen"] or "0")
    return row if all(map(_is_count, counts)) else None


def _is_count(cell: str) -> bool:
    return cell.isascii() and cell.isdecimal() and len(cell) <= MOST_DIGITS
