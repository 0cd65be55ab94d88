"""Whether processes of this machine live."""

from __future__ import annotations

import os


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
