from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.callbacks.evaluation import evaluations
from ganforge.loggers.facts import CheckpointLogger


class CheckpointArtifacts(Callback):
    """Passes the best and the last checkpoint to the loggers that store them, when training ends.

    Also if it ends with an error, so that the last good state of a failed run is stored. Must come
    after the callbacks that write checkpoints.
    """

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the checkpoints of a completed run."""
        self._hand_over(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Logs the checkpoints of an interrupted or failed run."""
        self._hand_over(trainer)

    def _hand_over(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "checkpoints"
        best: dict[str, Any] = next((e.best for e in evaluations(trainer) if e.best), {})
        last = {"step": _last_step(trainer)}
        kept = [
            (folder / "best.ckpt", ["best"], dict(best)),
            (folder / "last.ckpt", ["latest"], last),
        ]
        for logger in trainer.loggers:
            if isinstance(logger, CheckpointLogger) and logger.checkpoints:
                for path, aliases, facts in kept:
                    if path.is_file():
                        logger.log_checkpoint(path, aliases, facts)


def _last_step(trainer: Trainer) -> int | None:
    """Returns the step of last.ckpt; None if this process has not written it."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    steps = [c.last_step for c in callbacks if isinstance(c, Checkpoints)]
    return steps[0] if steps else None
