from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from ganforge.callbacks.interruption import SIGNALS, handled_signals
from ganforge.errors import InterruptionError
from ganforge.processes import module_path, python
from ganforge.sweeps.signals import handling

PARENT_DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG


def train_in_process(overrides: list[str], flags: list[str]) -> int:
    """Trains in a separate process and forwards signals to it.

    If one process of a distributed run fails, rank 0 exits too. In the sweep's own process that
    would end the sweep.

    Args:
        overrides: overrides of the run.
        flags: command-line flags such as ``["--config-dir", "DIR"]``.

    Returns:
        The exit code; 128 plus the signal number if a signal killed the process.

    Raises:
        KeyboardInterrupt: if the process was interrupted by a signal.
    """
    command = [*python(), "-m", "ganforge", "train", *flags, *overrides]
    environment = os.environ | module_path()
    # New session: otherwise the child gets Ctrl-C twice, from the terminal and forwarded, and a
    # second signal means "stop immediately".
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, preexec_fn=_end_with_parent()
    )
    try:
        with handling(handled_signals(), lambda number, frame: process.send_signal(number)):
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
    """Returns a hook that makes Linux send SIGTERM to the child when its parent dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PARENT_DEATH_SIGNAL, int(signal.SIGTERM))
