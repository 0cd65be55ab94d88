from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

HOOKS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step")


class Stepper:
    """Backward passes and optimizer steps of a training, with the loss scaling of 16-mixed.

    Does what Lightning's ``manual_backward`` and optimizer wrappers do in a fraction of their time:
    callbacks and models are called only for hooks that they define.
    """

    def __init__(self) -> None:
        self._scaler: GradScaler | None = None
        self._hooks: dict[str, list[Callable[..., Any]]] = {name: [] for name in HOOKS}
        self._progress: Any = None

    def start(self, trainer: Trainer, module: LightningModule) -> None:
        """Adopts the loss scaling and the callbacks of a training."""
        self._scaler = getattr(trainer.precision_plugin, "scaler", None)
        self._progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        callbacks: Sequence[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        for name in HOOKS:
            default, own = getattr(Callback, name), getattr(LightningModule, name)
            defining = [one for one in callbacks if getattr(type(one), name) is not default]
            self._hooks[name] = [_bound(getattr(one, name), trainer, module) for one in defining]
            if getattr(type(module), name) is not own:
                self._hooks[name].append(getattr(module, name))

    @property
    def watched(self) -> bool:
        """Whether a callback or the model follows each backward pass."""
        return bool(self._hooks["on_before_backward"] or self._hooks["on_after_backward"])

    def backward(self, loss: Tensor) -> None:
        """Accumulates the gradients of a loss."""
        for hook in self._hooks["on_before_backward"]:
            hook(loss)
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]
        for hook in self._hooks["on_after_backward"]:
            hook()

    def step(self, optimizer: Optimizer, before: Callable[[], None]) -> None:
        """Takes an optimizer's step, unless 16-mixed finds gradients that are not finite.

        Args:
            optimizer: the optimizer.
            before: called when the gradients are final and unscaled.
        """
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)
        for hook in self._hooks["on_before_optimizer_step"]:
            hook(optimizer)
        before()
        if self._scaler is None:
            optimizer.step()
        else:
            self._scaler.step(optimizer)
            self._scaler.update()

    def count(self) -> None:
        """Counts a step of the run; Lightning would count each step of each optimizer."""
        if self._progress is not None:
            self._progress.increment_ready()
            self._progress.increment_completed()


def _bound(hook: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    return lambda *rest: hook(*first, *rest)
