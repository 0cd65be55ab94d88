from __future__ import annotations

from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.callbacks.collapse import Game, RealImages, has_collapsed
from ganforge.callbacks.evaluation import evaluations
from ganforge.callbacks.status import duration, number
from ganforge.errors import DivergenceError, InterruptionError, PrunedError
from ganforge.loggers.facts import AlertLogger
from ganforge.models.engine.adversarial import AdversarialModule


class Alerts(Callback):
    """Sends an alert on mode collapse, divergence, failure and completion.

    Collapse is checked after each evaluation and reported once per episode. Does not use the random
    streams of training.
    """

    def __init__(self) -> None:
        self._collapsed = False
        self._looked_after = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks for collapse after each evaluation."""
        scored = sum(len(e.history) for e in evaluations(trainer))
        if scored != self._looked_after:
            self._looked_after = scored
            self._look(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sends an alert that the run is completed, with its best scores."""
        module = cast(AdversarialModule, pl_module)
        best = [e.best for e in evaluations(trainer) if e.best]
        found = [f"best {b['name']} {number(float(b['value']))} at step {b['step']}" for b in best]
        took = f"step {module.iteration} after {duration(module.stopwatch.seconds)}"
        _tell(trainer, "Run completed", ", ".join([took, *found]), "INFO")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Sends an alert about the error; interrupted and pruned runs need none."""
        if isinstance(exception, (InterruptionError, PrunedError, KeyboardInterrupt)):
            return
        diverged = isinstance(exception, DivergenceError)
        title = "Loss is not finite" if diverged else "Run failed"
        _tell(trainer, title, str(exception) or type(exception).__name__, "ERROR")

    def state_dict(self) -> dict[str, Any]:
        """Returns whether the current collapse was reported, and the evaluations checked so far."""
        return {"collapsed": self._collapsed, "looked_after": self._looked_after}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state of :meth:`state_dict`."""
        self._collapsed = state_dict["collapsed"]
        self._looked_after = state_dict["looked_after"]

    def _look(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(AdversarialModule, pl_module)
        if module.needs_inputs or module.iteration == 0:
            return
        data = cast(RealImages, trainer.datamodule)  # type: ignore[attr-defined]
        device = module.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            collapsed = has_collapsed(cast(Game, module), data)
        if collapsed and not self._collapsed:
            text = f"The images of all latents are alike at step {module.iteration}."
            _tell(trainer, "Generator has collapsed", text, "WARN")
        self._collapsed = collapsed


def _tell(trainer: Trainer, title: str, text: str, level: str) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, AlertLogger) and logger.alerts:
            logger.alert(title, text, level)
