from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from ganforge.callbacks.interruption import ECHO, exit_now, handled_signals
from ganforge.errors import InterruptionError

# Ends a job with a checkpoint, to start it again. The Interruption callback handles it, and not
# submitit's default, SIGUSR2.
PREEMPTION: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGTERM)
Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextlib.contextmanager
def handling(numbers: Iterable[int], handler: Handler) -> Iterator[None]:
    """Installs a handler of signals for the block.

    Does nothing outside the main thread, where Python cannot set handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in former.items():
            signal.signal(number, previous)


@contextlib.contextmanager
def deferring_signals() -> Iterator[None]:
    """Handles signals only after the block, as for starting a process: it must not get lost."""
    received: list[int] = []
    try:
        with handling(handled_signals(), lambda number, frame: received.append(number)):
            yield
    finally:
        for number in received[:1]:
            signal.raise_signal(number)


def ending_on_signals() -> contextlib.AbstractContextManager[None]:
    """Handles termination signals between jobs by raising KeyboardInterrupt.

    During training the run's own handler is active instead; it ends the sweep once its checkpoint
    is written.
    """
    return handling(handled_signals(), _end)


@contextlib.contextmanager
def ending_once(remedy: str) -> Iterator[None]:
    """Raises KeyboardInterrupt on the first termination signal, for a command without jobs.

    The same signal again is ignored at first, so that files of the command are removed
    undisturbed; after a second, it ends the process at once.

    Args:
        remedy: end of the message, such as "the same command continues".
    """
    first: list[float] = []

    def end(number: int, frame: FrameType | None) -> None:
        if not first:
            first.append(time.monotonic())
            text = f"interrupted by {signal.Signals(number).name}; {remedy}"
            # Not a subclass of Exception, which decoders of images take for a damaged image.
            raise KeyboardInterrupt(text) from InterruptionError(text, number)
        if time.monotonic() - first[0] > ECHO:
            exit_now(number)

    with handling(handled_signals(), end):
        yield


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
