"""Calls into wandb that always return: its local process may be missing, late, stuck or killed."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ganforge.time_limit import LateError, within

CALL_SECONDS = 30.0  # for a call that only writes to the local process
START_MARGIN = 15.0  # beyond what wandb itself waits for its local process
CLOSE_SECONDS = 10.0  # for the local process to end with this one
UNSTICK_SECONDS = 3.0  # for a call to notice that its local process was killed

T = TypeVar("T")

# Its loop logs a traceback for each message to a local process that died; one line of ours says it.
logging.getLogger("wandb.sdk.lib.asyncio_manager").setLevel(logging.CRITICAL)


class WandbStuckError(Exception):
    """wandb did not return in time. Once it holds its own locks, nothing of it can be called."""


# The thread that never came back. Of a process, for wandb's state is: later jobs of a sweep that
# runs in one process must not wait again.
_stuck: threading.Thread | None = None


def start_seconds() -> float:
    """Returns how long the local process may take to start."""
    try:
        return float(os.environ.get("WANDB_X_SERVICE_WAIT", "")) + START_MARGIN
    except ValueError:
        return 30.0 + START_MARGIN


def bounded(call: Callable[[], T], seconds: float, what: str) -> T:
    """Returns what ``call`` returns, or raises after ``seconds``.

    Args:
        call: calls wandb.
        seconds: that it may take. Then wandb's local process is killed, which ends most calls.
        what: is done, for the message.

    Raises:
        WandbStuckError: it took longer, or an earlier call did and never returned.
        Exception: what ``call`` raised; see :func:`within`.
    """
    global _stuck
    if _stuck is not None and _stuck.is_alive():
        raise WandbStuckError("wandb is stuck in an earlier call")
    try:
        return within(seconds, call, what)
    except LateError as late:
        kill_service()
        late.thread.join(UNSTICK_SECONDS)
        _stuck = late.thread
        raise WandbStuckError(str(late)) from late


def teardown(seconds: float = CLOSE_SECONDS) -> None:
    """Ends the local process and forgets all runs; silent, whatever is wrong with it."""
    wandb = sys.modules.get("wandb")
    if wandb is None:
        return
    with contextlib.suppress(Exception):
        bounded(wandb.teardown, seconds, "wandb.teardown")
    _forget_address()
    # It forgets the active run where it can finish it, and keeps it where that fails.
    with contextlib.suppress(Exception):
        from wandb.sdk.lib import module

        cast(Any, module).unset_globals()


def _forget_address() -> None:
    """Removes the address of a local process of this one's, which later calls would connect to."""
    if f"-{os.getpid()}-" in os.environ.get("WANDB_SERVICE", ""):
        os.environ.pop("WANDB_SERVICE")


@functools.cache
def close_at_exit() -> None:
    """Ends the local process with this one, in at most CLOSE_SECONDS and without a traceback.

    wandb's own exit handler waits without a limit, and prints a traceback where the local process
    was killed. Handlers run in reverse order, and this one leaves the other nothing to do.
    """
    process = os.getpid()
    atexit.register(lambda: teardown() if os.getpid() == process else None)


def kill_service() -> None:
    """Kills the local process, if this process has started one and wandb lets it be found."""
    with contextlib.suppress(Exception):
        from wandb.sdk import wandb_setup

        connection: Any = wandb_setup._singleton._connection  # type: ignore[union-attr]
        connection._proc._process.kill()
