from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge import atomic
from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.errors import InterruptionError

# Ctrl-C, the end of a job, what schedulers send some time before that, and the end of a terminal or
# connection. Windows has the first two.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
    if hasattr(signal, name)
)
# Seconds in which a signal is the same one once more: wrappers such as `timeout` send it to a
# process and to its group.
ECHO = 1.0


def heeded() -> tuple[signal.Signals, ...]:
    """Returns SIGNALS, without SIGHUP where it is ignored: that is how nohup starts a command."""
    return tuple(
        number
        for number in SIGNALS
        if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN
    )


class Interruption(Callback):
    """SIGINT (Ctrl-C), SIGTERM, SIGUSR1 and SIGHUP end a run after its step, with a checkpoint.

    SIGHUP, sent when a terminal closes, is left alone where it is ignored, as under nohup. The
    process ends with 128 plus the signal's number: 130, 143, 129 or, on Linux, 138. A second signal
    ends it at once; the checkpoints written before stay. Before the first step, and where training
    is over, there is nothing to wait for.

    Stands last among the callbacks, so that the step is finished for all of them.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._received_at = 0.0
        self._stage = "before"  # then "training", then "over"
        self._speaks = True
        self._pid = os.getpid()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Takes the signals of this process, and gives them back; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in heeded()}
        self._listen()
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a step may be under way, and Lightning has put handlers of its own."""
        self._speaks = trainer.is_global_zero
        self._stage = "training"
        if threading.current_thread() is threading.main_thread():
            self._listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves and leaves, on all processes when one was told to."""
        if not trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            return
        number = self._shared(trainer)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Checkpoints):
                callback.save(trainer, pl_module)
        raise InterruptionError(
            f"interrupted at step {trainer.global_step} by {number.name}; "
            f"go on with resume={trainer.default_root_dir}",
            number,
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says that all is saved."""
        self._stage = "over"

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Says that no step follows."""
        self._stage = "over"

    def _listen(self) -> None:
        for number in heeded():
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a worker that was just forked
        now = time.monotonic()
        if self.received is None:
            self.received, self._received_at = signal.Signals(number), now
            self._answer()
        elif number != self.received or now - self._received_at > ECHO:
            self._exit_at_once(number)

    def _answer(self) -> None:
        """Reacts to the first signal."""
        name, number = self.received.name, self.received.value  # type: ignore[union-attr]
        if self._stage == "before":
            raise InterruptionError(f"interrupted by {name} before the first step", number)
        if self._stage == "over":
            self._exit_at_once(number)
        self._say(
            f"{name} received: the run ends after this step, with a checkpoint; "
            "a second signal ends it at once"
        )

    def _exit_at_once(self, number: int) -> None:
        atomic.abandon()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _say(self, line: str) -> None:
        # Not through Python's streams: the signal may have come while they were written to.
        if self._speaks:
            with contextlib.suppress(OSError):  # the terminal is gone
                os.write(2, f"\nganforge: {line}\n".encode())

    def _shared(self, trainer: Trainer) -> signal.Signals:
        """Returns the signal that any of the processes received."""
        device = trainer.strategy.root_device
        ours = torch.tensor(self.received or 0, device=device)
        return signal.Signals(int(trainer.strategy.reduce(ours, reduce_op="max")))
