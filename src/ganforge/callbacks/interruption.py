from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.errors import InterruptionError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(Callback):
    """Ctrl-C and SIGTERM end a run after its step, with a checkpoint; a second one ends it at once.

    Stands last among the callbacks, so that the step is finished for all of them.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._former: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        with contextlib.suppress(ValueError):
            self._former = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves and leaves, on all processes when one was told to."""
        if not trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            return
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Checkpoints):
                callback.save(trainer, pl_module)
        raise InterruptionError(
            f"interrupted at step {trainer.global_step}; "
            f"go on with resume={trainer.default_root_dir}"
        )

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the signals back."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = number
