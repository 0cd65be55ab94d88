"""Processes of this machine: how to start another Python, and whether a PID is alive."""

from __future__ import annotations

import os
import sys


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
