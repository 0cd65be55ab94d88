from __future__ import annotations

from lightning.pytorch import Callback

from ganforge.errors import RunError


class BrokenAt(Callback):
    """Raises an exception on one rank of a run.

    Args:
        step: number of generator updates before; 0: before training starts.
        rank: rank that raises.
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
