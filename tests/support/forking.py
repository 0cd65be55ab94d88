from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable


def fork(work: Callable[[], None]) -> int:
    """Runs ``work`` in a forked child with this process's imports; returns its process id.

    The child has none of the parent's threads, so create large tensors before.
    """
    if "lightning" in sys.modules:  # its Trainer imports the compiler: once, not in each child
        importlib.import_module("torch._inductor.config")
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # a hanging child fails its test instead of blocking all tests
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
    """Waits for the child; returns its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
