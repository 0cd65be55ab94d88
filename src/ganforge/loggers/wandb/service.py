"""Time-limited calls into wandb, whose service process may be missing, slow, stuck or killed."""

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

from ganforge.processes import LateError, within

CALL_SECONDS = 30.0  # limit of a call that only writes to the service process
START_MARGIN = 15.0  # on top of wandb's own timeout for starting the service process
CLOSE_SECONDS = 10.0  # limit for shutting down the service process
UNSTICK_SECONDS = 3.0  # time for a call to notice that the service process was killed

T = TypeVar("T")

# wandb logs a traceback for each message to a dead service process; ours is a single line.
logging.getLogger("wandb.sdk.lib.asyncio_manager").setLevel(logging.CRITICAL)

# The thread of a stuck call. Global, as wandb's state is global: later jobs of a sweep in the same
# process must not wait again.
_stuck: threading.Thread | None = None


class WandbStuckError(Exception):
    """Raised when wandb did not return in time.

    The stuck call may hold wandb's locks, so no other call can be made while it runs.
    """


def start_seconds() -> float:
    """Returns the time limit for starting the service process, in seconds."""
    try:
        return float(os.environ.get("WANDB_X_SERVICE_WAIT", "")) + START_MARGIN
    except ValueError:
        return 30.0 + START_MARGIN


def bounded(call: Callable[[], T], seconds: float, what: str) -> T:
    """Returns the result of ``call``, or raises after ``seconds``.

    Args:
        call: calls wandb.
        seconds: time limit. After it, the service process is killed, which ends most calls.
        what: name of the operation, for the message.

    Raises:
        WandbStuckError: if the call took longer, or an earlier call is still stuck.
        Exception: any error of ``call``; see :func:`within`.
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
    """Ends the service process and forgets all runs; ignores all errors."""
    wandb = sys.modules.get("wandb")
    if wandb is None:
        return
    with contextlib.suppress(Exception):
        bounded(wandb.teardown, seconds, "wandb.teardown")
    _forget_address()
    # If teardown cannot finish the active run, wandb keeps it as a global; reset it.
    with contextlib.suppress(Exception):
        from wandb.sdk.lib import module

        cast(Any, module).unset_globals()


def _forget_address() -> None:
    """Removes the address of this process's service, so that later calls do not connect to it."""
    if f"-{os.getpid()}-" in os.environ.get("WANDB_SERVICE", ""):
        os.environ.pop("WANDB_SERVICE")


@functools.cache
def close_at_exit() -> None:
    """Registers an exit handler that ends the service process within CLOSE_SECONDS, silently.

    wandb's own handler waits without a limit and prints a traceback if the service process was
    killed. Handlers run in reverse order, so this one runs first and leaves it nothing to do.
    """
    process = os.getpid()
    atexit.register(lambda: teardown() if os.getpid() == process else None)


def kill_service() -> None:
    """Kills the service process, if this process has started one and wandb exposes it."""
    with contextlib.suppress(Exception):
        from wandb.sdk import wandb_setup

        connection: Any = wandb_setup._singleton._connection  # type: ignore[union-attr]
        connection._proc._process.kill()
