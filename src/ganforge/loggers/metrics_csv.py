from __future__ import annotations

import csv
import errno
import io
import itertools
import logging
import os
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from ganforge import atomic
from ganforge.errors import RunError
from ganforge.logged_rows import FIRST, LoggedRows, Row
from ganforge.regular_files import open_regular

COUNTS = ("step", "images_seen")

# The path is a symlink, not a regular file, or too large: never write through it.
NO_FILE = (errno.ELOOP, errno.EINVAL, errno.EFBIG)

log = logging.getLogger("ganforge")


class MetricsCSV(Logger):
    """Logs metrics to ``metrics.csv``, with one row per step and one column per name.

    :meth:`log_metrics` returns only after the row is written, so a killed run keeps its history.
    Numbers are written so that they read back exactly. Cells of values not logged at a step are
    empty.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._columns: list[str] | None = None  # None until the file has been read
        self._last: Row = {}
        self._last_start = 0  # byte offset of the last row

    @property
    def name(self) -> str:
        """The name that Lightning uses for this logger."""
        return "csv"

    @property
    def version(self) -> str:
        """The empty string, since each run has its own folder."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Does nothing: the configuration is in the run folder's config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Appends a row, or merges ``metrics`` into the last row if it has the same step.

        Raises:
            RunError: if the file cannot be written.
        """
        try:
            atomic.assert_unmoved(self.path)
            self._add(metrics, step)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    @rank_zero_only
    def truncate_after(self, step: int) -> None:
        """Removes rows after ``step``, the step of the checkpoint that training resumes from.

        Columns that are then empty and a last row cut off by a kill are removed as well.
        """
        if not os.path.lexists(self.path):
            return
        columns, rows = self._read()
        rows = [row for row in rows if int(row["step"]) <= step]
        used = [c for c in columns if c in FIRST or any(row.get(c) for row in rows)]
        self._rewrite(used or list(FIRST), rows)

    def _add(self, metrics: Mapping[str, Any], step: int | None) -> None:
        if self._columns is None:
            self._open()
        values = {name: _text(name, value) for name, value in metrics.items()}
        values["step"] = str(step) if step is not None else self._last.get("step", "0")
        same_step = values["step"] == self._last.get("step")
        row = {**self._last, **values} if same_step else values
        columns = self._columns or []
        new = [name for name in (*FIRST, *row) if name not in columns]
        if new:  # a new column changes every row, so the file is rewritten
            self._rewrite([*columns, *dict.fromkeys(new)], self._read()[1])
        self._put(row, over_last=same_step)

    def _open(self) -> None:
        columns, rows = self._read() if os.path.lexists(self.path) else ([], [])
        self._rewrite(columns or list(FIRST), rows)

    def _read(self) -> tuple[list[str], list[Row]]:
        """Returns the columns and the complete rows; moves a damaged file aside."""
        try:
            logged = LoggedRows.read(self.path)
        except OSError as error:
            if error.errno not in NO_FILE:
                raise
            self._set_aside(f"is not a file of a run ({error.strerror})")
            return [], []
        if logged.damaged:
            self._set_aside(f"is damaged; {logged.torn} rows could not be read")
        return logged.columns, logged.rows

    def _set_aside(self, reason: str) -> None:
        target = self.path.with_name(f"{self.path.name}.damaged")
        for number in itertools.count(2):
            if not os.path.lexists(target):
                break
            target = self.path.with_name(f"{self.path.name}.damaged-{number}")
        os.rename(self.path, target)
        log.warning("%s %s. It was renamed %s, the run continues", self.path, reason, target.name)

    def _rewrite(self, columns: list[str], rows: list[Row]) -> None:
        lines = [_line(columns), *(_line(row.get(c, "") for c in columns) for row in rows)]
        atomic.write(self.path, b"".join(lines))
        self._columns = columns
        self._last = {c: v for c, v in rows[-1].items() if v} if rows else {}
        self._last_start = sum(map(len, lines[:-1])) if rows else len(lines[0])

    def _put(self, row: Row, over_last: bool) -> None:
        line = _line(row.get(c, "") for c in self._columns or [])
        with open(open_regular(self.path, os.O_RDWR), "r+b") as file:
            end = file.seek(0, io.SEEK_END)
            start = self._last_start if over_last else end
            file.seek(start)
            file.write(line)
            file.truncate()  # a replaced row may have been longer
        self._last, self._last_start = row, start


def read(path: Path) -> tuple[list[str], list[Row]]:
    """Returns the columns and the complete rows of a ``metrics.csv``, all cells as text."""
    logged = LoggedRows.read(path)
    return logged.columns, logged.rows


def _text(name: str, value: Any) -> str:
    number = value.item() if hasattr(value, "item") else value
    if name in COUNTS:
        return str(int(number))
    return repr(number) if isinstance(number, float) else str(number)


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(list(cells))
    return text.getvalue().encode()
