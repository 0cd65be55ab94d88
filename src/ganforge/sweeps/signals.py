from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ganforge.callbacks.interruption import heeded
from ganforge.errors import InterruptionError


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Handles termination signals between jobs by raising KeyboardInterrupt.

    During training the run's own handler is active instead; it ends the sweep once its checkpoint
    is written.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former: dict[int, Any] = {number: signal.signal(number, _end) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def end_sweep(number: int) -> None:
    """Ends the sweep, if there is one, after a signal that arrived when its run was complete.

    Raises:
        InterruptionError: if the run is a job of a sweep.
    """
    # The run has restored the previous handlers: a sweep is active if its handler is installed.
    if signal.getsignal(number) is _end:
        name = signal.Signals(number).name
        raise InterruptionError(f"interrupted by {name} after the end of a job", number)


def _end(number: int, frame: FrameType | None) -> None:
    cause = InterruptionError(f"interrupted by {signal.Signals(number).name}", number)
    raise KeyboardInterrupt(str(cause)) from cause
