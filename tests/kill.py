from __future__ import annotations

import os
import signal
from pathlib import Path

from lightning.pytorch import Callback


class KillAt(Callback):
    """Kills its process at a step, once: a run that is resumed passes it.

    Args:
        step: generator updates.
        inside: not at the end of the step, but between the discriminator's update and the
            generator's.
    """

    def __init__(self, step: int, inside: bool = False) -> None:
        self.step = step
        self.inside = inside

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
        marker = Path(trainer.default_root_dir) / f"killed-{self.step}"
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
