from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ganforge.console import console

EVERY_SECONDS = 10.0

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def counting(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Shows progress: a progress bar on a terminal, otherwise log lines.

    Args:
        total: total number of items.
        what: what is done to them, such as "translated".

    Yields:
        A function to call with the number of newly finished items.
    """
    columns = (TextColumn(what), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    live = console.is_terminal
    done, logged = 0, time.monotonic()
    with Progress(
        *columns, console=console, auto_refresh=False, transient=True, disable=not live
    ) as line:
        task = line.add_task(what, total=total)

        def advance(more: int = 1) -> None:
            nonlocal done, logged
            done += more
            line.advance(task, more)
            line.refresh()
            if not live and time.monotonic() - logged >= EVERY_SECONDS:
                logged = time.monotonic()
                _log.info("%s %d/%d", what, done, total)

        yield advance
