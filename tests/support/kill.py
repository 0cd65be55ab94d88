from __future__ import annotations

import os
import signal
from pathlib import Path

from lightning.pytorch import Callback


class KillAt(Callback):
    """Kills its process once at a step; a resumed run is not killed again.

    Args:
        step: number of generator updates.
        inside: kill between the discriminator's and the generator's update, not after the step.
        run: only in run folders whose names start with this.
        signal: signal to send.
    """

    def __init__(
        self, step: int, inside: bool = False, run: str = "", signal: str = "SIGKILL"
    ) -> None:
        self.step = step
        self.inside = inside
        self.run = run
        self.signal = signal

    @property
    def state_key(self) -> str:
        return f"KillAt{self.step}"

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        generators = pl_module.optimizers()[0].optimizer
        if self.inside and pl_module.iteration == self.step - 1 and optimizer is generators:
            self._kill(trainer)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if not self.inside and pl_module.iteration == self.step:
            self._kill(trainer)

    def _kill(self, trainer) -> None:
        folder = Path(trainer.default_root_dir)
        markers = [place / f"killed-{self.step}" for place in (folder, folder.parent)]
        if folder.name.startswith(self.run) and not any(marker.exists() for marker in markers):
            # The folder of a sweep's job is emptied if it has no checkpoint yet.
            markers[bool(self.run)].touch()
            os.kill(os.getpid(), signal.Signals[self.signal])
