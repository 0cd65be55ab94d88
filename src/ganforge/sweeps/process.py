"""Trainings of a sweep in separate processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from ganforge.callbacks.interruption import SIGNALS, handled_signals
from ganforge.errors import InterruptionError
from ganforge.processes import module_path, python
from ganforge.sweeps.signals import handling

PARENT_DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG


def search_path_flags(config: DictConfig) -> list[str]:
    """Returns the command-line flags that reproduce this process's config search path."""
    sources = config.hydra.runtime.config_sources
    folders = [str(s.path) for s in sources if s.provider == "command-line"]
    typed = [str(o) for o in config.hydra.overrides.hydra]
    paths = [o for o in typed if o.lstrip("+").startswith("hydra.searchpath=")]
    return [word for folder in folders for word in ("--config-dir", folder)] + paths


def start_training(
    overrides: list[str], flags: list[str], variables: dict[str, str] | None = None, **streams: Any
) -> subprocess.Popen[bytes]:
    """Starts a training in a session of its own; it ends when this process dies.

    In this process's session the terminal would send Ctrl-C to the training, too, in addition to
    the signal that is forwarded, and a second signal means "stop immediately".

    Args:
        overrides: overrides of the run.
        flags: command-line flags such as ``["--config-dir", "DIR"]``.
        variables: environment variables in addition to those of this process.
        streams: stdin, stdout and stderr as for ``subprocess.Popen``.
    """
    return subprocess.Popen(
        [*python(), "-m", "ganforge", "train", *flags, *overrides],
        env=os.environ | module_path() | (variables or {}),
        start_new_session=True,
        preexec_fn=_end_with_parent(),
        **streams,
    )


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
    process = start_training(overrides, flags)
    try:
        with handling(handled_signals(), lambda number, frame: process.send_signal(number)):
            code = exit_code(process.wait())
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code - 128 in SIGNALS:
        number = code - 128
        cause = InterruptionError(f"interrupted by {signal.Signals(number).name}", number)
        raise KeyboardInterrupt(str(cause)) from cause
    return code


def exit_code(code: int) -> int:
    """Returns the exit code of a process as a shell shows it: 128 + N if signal N killed it."""
    return code if code >= 0 else 128 - code


def _end_with_parent() -> Callable[[], object] | None:
    """Returns a hook that makes Linux send SIGTERM to the child when its parent dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PARENT_DEATH_SIGNAL, int(signal.SIGTERM))
