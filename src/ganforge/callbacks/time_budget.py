from __future__ import annotations

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.stopwatch import Stopwatch


class TimeBudget(Callback):
    """Ends a run after so many seconds of training, counted on over resumes.

    Args:
        max_seconds: evaluations, grids and checkpoints are not counted.

    Attributes:
        seconds: of the budget that are used.
    """

    def __init__(self, max_seconds: float) -> None:
        self.max_seconds = max_seconds
        self._stopwatch = Stopwatch()

    @property
    def seconds(self) -> float:
        """Seconds spent of the budget."""
        return self._stopwatch.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the module's own clock."""
        self._stopwatch = cast(AdversarialModule, pl_module).stopwatch

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops when the first process says so, since clocks differ."""
        if trainer.strategy.broadcast(self.seconds >= self.max_seconds):
            trainer.should_stop = True
