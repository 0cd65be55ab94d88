from __future__ import annotations

import os
import signal
from pathlib import Path

from lightning.pytorch import Callback


class SignalAt(Callback):
    """Sends a signal to its process once at a step; a resumed run does not receive it again.

    Args:
        step: number of generator updates.
        name: name of the signal, such as "SIGUSR1".
        seed: only in runs with this seed; None: in all runs.
    """

    def __init__(self, step: int, name: str, seed: int | None = None) -> None:
        self.step = step
        self.number = signal.Signals[name]
        self.seed = seed

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        marker = Path(trainer.default_root_dir) / "signalled"
        meant = self.seed in (None, pl_module.seed)
        if meant and pl_module.iteration == self.step and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), self.number)
