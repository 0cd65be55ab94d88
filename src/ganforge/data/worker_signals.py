from __future__ import annotations

import os
import signal
import threading

IGNORED = ("SIGINT", "SIGUSR1", "SIGHUP")


def leave_signals_to_parent(worker: int = 0) -> None:
    """Lets a data worker live through the signals that end a run, for the run's last step.

    Terminals and schedulers send them to all processes of a run, and a run whose workers are gone
    cannot finish its step. SIGTERM counts where it is the parent's own, which so ends a worker that
    it has no use for. Where the parent dies, torch's workers see it by themselves.

    Args:
        worker: its index, which torch gives; of no matter.
    """
    for name in IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # macOS tells nobody who sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
