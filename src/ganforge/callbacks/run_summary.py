from __future__ import annotations

import json
import logging
import math
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge import atomic
from ganforge.callbacks.evaluation import evaluations
from ganforge.errors import InterruptionError, PrunedError, RunError
from ganforge.loggers.facts import SummaryLogger
from ganforge.models.engine.adversarial import AdversarialModule

log = logging.getLogger("ganforge")

PACKAGES = ("ganforge", "torch", "torchvision", "lightning", "torchmetrics", "torch-fidelity")


class RunSummary(Callback):
    """Writes summary.json: what the run is, where it stands, what it has reached.

    Rewritten whole at the start, after each evaluation and at the end, whatever the end is.

    Args:
        facts: what does not change: run, command, model, data, seed, device.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self._history = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says that the run is on."""
        self.write(trainer, pl_module, "running")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes when there has been an evaluation."""
        if sum(len(e.history) for e in evaluations(trainer)) != self._history:
            self.write(trainer, pl_module, "running")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says that the run is complete."""
        self.write(trainer, pl_module, "completed")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Says why the run is over; of one that never began, what was written before stays."""
        if self._history < 0:
            return
        try:
            self.write(trainer, pl_module, _status(exception), exception)
        except RunError as error:  # what ended the run is what the user is to read at the end
            log.warning("%s", error)

    def write(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        status: str,
        error: BaseException | None = None,
    ) -> None:
        """Replaces summary.json by what is known now."""
        scored = evaluations(trainer)
        self._history = sum(len(e.history) for e in scored)
        if not trainer.is_global_zero:
            return
        module = cast(AdversarialModule, pl_module)
        seconds = module.stopwatch.seconds
        summary = self.facts | {
            "status": status,
            **({"error": str(error), "error_kind": type(error).__name__} if error else {}),
            "step": module.iteration,
            "images_seen": module.images_seen,
            "seconds": seconds,
            "images_per_second": module.images_seen / seconds if seconds else None,
            "metrics": {name: r for e in scored for name, r in e.results.items()},
            "best": {str(e.best["name"]): e.best for e in scored if e.best},
            "history": [point for e in scored for point in e.history],
            "checkpoint": _last_checkpoint(Path(trainer.default_root_dir)),
            "parameters": {
                "generator": count_parameters(module.generator),
                "discriminator": count_parameters(module.discriminator),
            },
            "versions": versions(),
        }
        text = json.dumps(plain(summary), indent=2)
        atomic.replace(Path(trainer.default_root_dir) / "summary.json", text.encode())
        for logger in trainer.loggers:
            if isinstance(logger, SummaryLogger):
                logger.log_summary(summary)


def _status(exception: BaseException) -> str:
    if isinstance(exception, PrunedError):
        return "pruned"
    stopped = isinstance(exception, (InterruptionError, KeyboardInterrupt))
    return "interrupted" if stopped else "failed"


def count_parameters(network: torch.nn.Module) -> int:
    """Returns the number of trainable weights."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def versions() -> dict[str, str]:
    """Returns the versions that a repetition needs."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _last_checkpoint(run: Path) -> str | None:
    last = run / "checkpoints" / "last.ckpt"
    return str(last.relative_to(run)) if last.exists() else None


def plain(value: Any) -> Any:
    """JSON knows no NaN or infinity: they become null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
