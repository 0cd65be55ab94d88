from __future__ import annotations

import os
import signal
import threading

IGNORED = ("SIGINT", "SIGUSR1", "SIGHUP")


def leave_signals_to_parent(worker: int = 0) -> None:
    """Makes a loader worker ignore the signals that stop a run, so that the last step can finish.

    Terminals and schedulers send them to all processes of a run, and a step cannot finish without
    its workers. SIGTERM is obeyed only if the parent sent it, which is how DataLoader ends
    workers. If the parent dies, torch's workers detect it themselves.

    Args:
        worker: worker index, passed by DataLoader; unused.
    """
    for name in IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # sigwaitinfo reports the sender of a signal; macOS does not have it.
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
