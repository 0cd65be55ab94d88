"""Calls that end in bounded time, whatever they wait for. Imports nothing heavy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class LateError(TimeoutError):
    """A call that did not return in time.

    Attributes:
        thread: where it still runs.
    """

    def __init__(self, message: str, thread: threading.Thread) -> None:
        super().__init__(message)
        self.thread = thread


def within(seconds: float, call: Callable[[], T], what: str) -> T:
    """Returns what ``call`` returns, or raises after ``seconds``.

    It runs in a daemon thread, which is left behind when it is late: Python cannot interrupt a call
    that waits for a lock, a name server or another process. Such a thread does not keep the process
    from exiting.

    Args:
        seconds: that the call may take.
        call: takes no arguments.
        what: is done, for the message.

    Raises:
        LateError: it took longer.
        Exception: what ``call`` raised; an attempt to exit too, as RuntimeError.
    """
    outcome: list[tuple[Any, Exception | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except Exception as error:
            outcome.append((None, error))
        except BaseException as error:
            outcome.append((None, RuntimeError(f"{type(error).__name__}: {error}")))

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise LateError(f"{what} took longer than {seconds:g} seconds", thread)
    value, error = outcome[0]
    if error is not None:
        raise error
    return value  # type: ignore[no-any-return]
