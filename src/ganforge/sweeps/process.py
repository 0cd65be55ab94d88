from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from ganforge.callbacks.interruption import SIGNALS, heeded
from ganforge.errors import InterruptionError
from ganforge.processes import module_path, python

PARENT_DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG


def train_apart(overrides: list[str], flags: list[str]) -> int:
    """Trains in a process of its own, and hands on to it the signals that arrive here.

    A run of several processes ends its first one where another fails: in the sweep's own process
    that would be the end of the sweep.

    Args:
        overrides: of the run.
        flags: such as ``["--config-dir", "DIR"]``.

    Returns:
        Its exit code; 128 plus the signal that killed it.

    Raises:
        KeyboardInterrupt: it was told to stop, at whatever moment.
    """
    command = [*python(), "-m", "ganforge", "train", *flags, *overrides]
    environment = os.environ | module_path()
    # A session of its own: a terminal's Ctrl-C would arrive there twice, and two mean "at once".
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, preexec_fn=_end_with_parent()
    )
    try:
        with _handing_on(process):
            code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    code = code if code >= 0 else 128 - code
    if code - 128 in SIGNALS:
        number = code - 128
        cause = InterruptionError(f"interrupted by {signal.Signals(number).name}", number)
        raise KeyboardInterrupt(str(cause)) from cause
    return code


def _end_with_parent() -> Callable[[], object] | None:
    """Returns what has Linux tell a child to stop when its parent was killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PARENT_DEATH_SIGNAL, int(signal.SIGTERM))


@contextlib.contextmanager
def _handing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    former: dict[int, Any] = {number: signal.signal(number, hand_on) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
