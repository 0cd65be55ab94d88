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
    """Writes summary.json: facts, status and scores of the run.

    The file is replaced at the start, after each evaluation and at the end, also on errors.

    Args:
        facts: constant values: run, command, model, data, seed, device.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self._history = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the status "running"."""
        self.write(trainer, pl_module, "running")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Updates the summary after an evaluation."""
        if sum(len(e.history) for e in evaluations(trainer)) != self._history:
            self.write(trainer, pl_module, "running")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the status "completed"."""
        self.write(trainer, pl_module, "completed")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Writes the status and the error; keeps the old summary if training never started."""
        if self._history < 0:
            return
        try:
            self.write(trainer, pl_module, _status(exception), exception)
        except RunError as error:  # must not hide the original error
            log.warning("%s", error)

    def write(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        status: str,
        error: BaseException | None = None,
    ) -> None:
        """Replaces summary.json with the current state and passes it to the loggers."""
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
    """Returns the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _last_checkpoint(run: Path) -> str | None:
    last = run / "checkpoints" / "last.ckpt"
    return str(last.relative_to(run)) if last.exists() else None


def plain(value: Any) -> Any:
    """Returns ``value`` with NaN and infinities replaced by None, since JSON has neither."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
