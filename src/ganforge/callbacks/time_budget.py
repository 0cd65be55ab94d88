from __future__ import annotations

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.stopwatch import Stopwatch


class TimeBudget(Callback):
    """Ends a run after ``max_seconds`` of training, summed over all resumes.

    Args:
        max_seconds: the budget; evaluations, sample grids and checkpoints do not count.

    Attributes:
        seconds: training time used so far.
    """

    def __init__(self, max_seconds: float) -> None:
        self.max_seconds = max_seconds
        self._stopwatch = Stopwatch()

    @property
    def seconds(self) -> float:
        """Seconds of the budget used so far."""
        return self._stopwatch.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Uses the module's stopwatch, which checkpoints store."""
        self._stopwatch = cast(AdversarialModule, pl_module).stopwatch

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops all ranks when rank 0 has used up the budget, since their clocks differ."""
        if trainer.strategy.broadcast(self.seconds >= self.max_seconds):
            trainer.should_stop = True
