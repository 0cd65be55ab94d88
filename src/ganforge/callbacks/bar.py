from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from ganforge.callbacks.status import Status, details, position


class Bar:
    """A live line on the terminal. It is drawn when told to, by no thread of its own.

    Args:
        console: where to draw; None for standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.fields[details]}"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("training", total=None, details="")
        self._progress.start()

    def show(self, status: Status) -> None:
        """Draws where the run stands."""
        self._progress.update(
            self._task,
            description=position(status),
            total=None if status.done is None else 1.0,
            completed=status.done or 0.0,
            details="  ".join(details(status)),
        )
        self._progress.refresh()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Wipes the line for the duration of the block, so that others may write."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def close(self) -> None:
        """Wipes the line for good."""
        self._progress.stop()
