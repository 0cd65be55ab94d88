from __future__ import annotations

from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganforge.callbacks.evaluation import evaluations
from ganforge.callbacks.status import duration, number
from ganforge.data.images import to_float
from ganforge.data.module import ImageDataModule
from ganforge.errors import DivergenceError, InterruptionError, PrunedError
from ganforge.loggers.facts import AlertLogger
from ganforge.models.engine.adversarial import AdversarialModule

COLLAPSE_IMAGES = 64  # images per check
MIN_VARIETY = 0.05  # fraction of the real images' variety below which the generator has collapsed


class Alerts(Callback):
    """Sends an alert on mode collapse, divergence, failure and completion.

    Collapse is checked after each evaluation and reported once per episode. Does not use the random
    streams of training.
    """

    def __init__(self) -> None:
        self._collapsed = False
        self._checked = 0  # evaluations

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks for collapse after each evaluation."""
        scored = sum(len(e.history) for e in evaluations(trainer))
        if scored != self._checked:
            self._checked = scored
            self._check(trainer, cast(AdversarialModule, pl_module))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sends an alert that the run is completed, with its best scores."""
        module = cast(AdversarialModule, pl_module)
        best = [e.best for e in evaluations(trainer) if e.best]
        scores = [f"best {b['name']} {number(float(b['value']))} at step {b['step']}" for b in best]
        took = f"step {module.iteration} after {duration(module.stopwatch.seconds)}"
        _send(trainer, "Run completed", ", ".join([took, *scores]), "INFO")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Sends an alert about the error; interrupted and pruned runs need none."""
        if isinstance(exception, (InterruptionError, PrunedError, KeyboardInterrupt)):
            return
        diverged = isinstance(exception, DivergenceError)
        title = "Loss is not finite" if diverged else "Run failed"
        _send(trainer, title, str(exception) or type(exception).__name__, "ERROR")

    def state_dict(self) -> dict[str, Any]:
        """Returns whether the current collapse was reported, and the evaluations checked so far."""
        return {"collapsed": self._collapsed, "looked_after": self._checked}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state of :meth:`state_dict`."""
        self._collapsed = state_dict["collapsed"]
        self._checked = state_dict["looked_after"]

    def _check(self, trainer: Trainer, module: AdversarialModule) -> None:
        if "inputs" in module.needs or module.iteration == 0:
            return
        data = cast(ImageDataModule, trainer.datamodule)  # type: ignore[attr-defined]
        device = module.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            collapsed = has_collapsed(module, data)
        if collapsed and not self._collapsed:
            text = f"Images of different latents are nearly identical at step {module.iteration}."
            _send(trainer, "Generator has collapsed", text, "WARN")
        self._collapsed = collapsed


def _send(trainer: Trainer, title: str, text: str, level: str) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, AlertLogger) and logger.alerts:
            logger.alert(title, text, level)


def variety(images: Tensor) -> float:
    """Returns the square root of the mean pixel variance over images [n, C, H, W].

    It is 0 if all images are equal.
    """
    pixels = images.cpu().double()  # Metal has no float64
    return float(pixels.var(dim=0, unbiased=False).mean().sqrt())


def has_collapsed(module: AdversarialModule, data: ImageDataModule, seed: int = 0) -> bool:
    """Returns whether the averaged generator produces the same image for all latents.

    Does not detect a collapse to a few modes; scores such as recall do. Conditional models are
    sampled with the first class only, since images of different classes always differ.
    """
    labels = torch.zeros(COLLAPSE_IMAGES, dtype=torch.long) if module.num_classes > 0 else None
    images = module.sample(COLLAPSE_IMAGES, seed=seed, weights="ema", labels=labels)
    reals = data.reals(min(COLLAPSE_IMAGES, data.size("train")))[0]
    if not reals.is_floating_point():
        reals = to_float(reals)
    return variety(images) < MIN_VARIETY * variety(reals)
