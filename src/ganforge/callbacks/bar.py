from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from ganforge.callbacks.status import Status, details, position

WIDTH = 12  # columns of the bar itself
PERCENT = 8  # columns of the percentage and the gaps


class Bar:
    """A live progress line on the terminal, redrawn only by :meth:`show` (no refresh thread).

    Args:
        console: where to draw; None for standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=WIDTH),
            TaskProgressColumn(),
            TextColumn("{task.fields[details]}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("training", total=None, details="")
        self._progress.start()

    def show(self, status: Status) -> None:
        """Draws ``status``, shortened to the width of the terminal."""
        where, told = position(status), details(status)
        room = self._progress.console.width - len(where) - WIDTH - PERCENT
        while len(told) > 1 and len("  ".join(told)) > room:
            del told[1]  # drop losses first; keep images (first) and remaining time (last)
        self._progress.update(
            self._task,
            description=where,
            total=None if status.done is None else 1.0,
            completed=status.done or 0.0,
            details="  ".join(told),
        )
        self._progress.refresh()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Clears the line for the duration of the block, so that other output can be written."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def close(self) -> None:
        """Clears the line and stops drawing."""
        self._progress.stop()
