"""Processes of this machine, and calls with a time limit."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def python() -> list[str]:
    """Returns the start of a command line that runs this Python interpreter with ``-P``.

    With ``-m``, Python would put the current folder first on sys.path. Use :func:`module_path`
    to pass the import path instead.
    """
    return [sys.executable, "-P"]


def module_path() -> dict[str, str]:
    """Returns the PYTHONPATH that gives another Python process the same import path as this one.

    Otherwise the folder of a script such as ``train.py`` would be missing from its path.
    """
    folders = (os.path.abspath(path) for path in sys.path if os.path.isdir(path or "."))
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(folders))}


def is_living(pid: int) -> bool:
    """Returns whether a process with the PID ``pid`` is running on this machine."""
    if os.name == "nt":  # on Windows, os.kill(pid, 0) sends CTRL_C_EVENT instead of probing
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def is_another_living(pid: int) -> bool:
    """Returns whether ``pid`` is running and is not this process."""
    return pid != os.getpid() and is_living(pid)


class LateError(TimeoutError):
    """A call that did not return in time.

    Attributes:
        thread: the thread in which it is still running.
    """

    def __init__(self, message: str, thread: threading.Thread) -> None:
        super().__init__(message)
        self.thread = thread


def within(seconds: float, call: Callable[[], T], what: str) -> T:
    """Returns the result of ``call``, or raises after ``seconds``.

    The call runs in a daemon thread, which keeps running after a timeout: Python cannot interrupt a
    call that waits for a lock, a name server or another process. A daemon thread does not prevent
    the process from exiting.

    Args:
        seconds: time limit.
        call: function without arguments.
        what: description of the call, for the message.

    Raises:
        LateError: the call took longer than ``seconds``.
        Exception: any exception of ``call``; SystemExit and the like are raised as RuntimeError.
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
