from __future__ import annotations

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.models.adversarial import AdversarialModule


class TimeBudget(Callback):
    """Ends a run after so many seconds of training, counted on over resumes.

    Args:
        max_seconds: evaluations, grids and checkpoints are not counted.
    """

    def __init__(self, max_seconds: float) -> None:
        self.max_seconds = max_seconds

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops when the first process says so, since clocks differ."""
        spent = cast(AdversarialModule, pl_module).stopwatch.seconds >= self.max_seconds
        if trainer.strategy.broadcast(spent):
            trainer.should_stop = True
