"""Whether processes of this machine live."""

from __future__ import annotations

import os
import sys


def python() -> list[str]:
    """Returns the start of a command line that runs this Python, without the current folder.

    Python would put that folder first for ``-m``; see :func:`module_path` for what replaces it.
    """
    return [sys.executable, "-P"]


def module_path() -> dict[str, str]:
    """Returns the variable that makes another Python import what this one does.

    A script's own folder, as of ``python train.py``, is on no other process's path.
    """
    places = (os.path.abspath(place) for place in sys.path if os.path.isdir(place or "."))
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}


def is_living(pid: int) -> bool:
    """Returns whether a process of this machine has the number ``pid``."""
    if os.name == "nt":  # signal 0 is no question there but an interrupt
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def is_another_living(pid: int) -> bool:
    """Returns the same, and False for this very process."""
    return pid != os.getpid() and is_living(pid)
