from __future__ import annotations

import os
import signal

from lightning.pytorch import Callback


class SignalAt(Callback):
    """Sends a signal to its process, or to its group, in the middle of a step.

    Args:
        step: number of generator updates before; -1: before training starts.
        name: name of the signal, such as "SIGTERM".
        times: number of signals.
        group: send to all processes of the group, as terminals and schedulers do.
    """

    def __init__(self, step: int, name: str, times: int = 1, group: bool = False) -> None:
        self.step = step
        self.number = signal.Signals[name]
        self.times = times
        self.group = group
        self._sent = False

    def on_fit_start(self, trainer, pl_module) -> None:
        if self.step < 0:
            self._send()

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        if pl_module.iteration == self.step and not self._sent:
            self._sent = True
            self._send()

    def _send(self) -> None:
        for _ in range(self.times):
            if self.group:
                os.killpg(0, self.number)
            else:
                os.kill(os.getpid(), self.number)


class SignalAtEnd(Callback):
    """Sends a signal to its process after the last step, while other callbacks still run.

    Args:
        name: name of the signal, such as "SIGTERM".
    """

    def __init__(self, name: str) -> None:
        self.number = signal.Signals[name]

    def on_train_end(self, trainer, pl_module) -> None:
        os.kill(os.getpid(), self.number)
