from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable


def fork(work: Callable[[], None]) -> int:
    """Runs ``work`` in a child that shares this process's imports, and returns its number.

    The child has none of the parent's threads: make tensors of any size before.
    """
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # a child that hangs fails its test instead of stopping all
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def wait(pid: int) -> int:
    """Returns how the child ended: its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
