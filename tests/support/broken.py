from __future__ import annotations

from lightning.pytorch import Callback

from ganforge.errors import RunError


class BrokenAt(Callback):
    """Raises in one of a run's processes.

    Args:
        step: generator updates; at 0 training does not begin.
        rank: index of the process.
    """

    def __init__(self, step: int, rank: int) -> None:
        self.step = step
        self.rank = rank

    def on_train_start(self, trainer, pl_module) -> None:
        self._raise_at(trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self._raise_at(trainer, pl_module)

    def _raise_at(self, trainer, pl_module) -> None:
        if pl_module.iteration == self.step and trainer.global_rank == self.rank:
            raise RunError(f"broken at step {self.step}")
