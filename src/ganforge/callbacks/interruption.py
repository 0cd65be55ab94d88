from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge import atomic
from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.errors import InterruptionError, RunError
from ganforge.models.engine.adversarial import AdversarialModule

# SIGINT: Ctrl-C. SIGTERM: end of a job. SIGUSR1: a scheduler's warning before that. SIGHUP: the
# terminal or connection closed. Windows has the first two.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
    if hasattr(signal, name)
)
# Seconds in which a repeated signal counts as the same one: wrappers such as `timeout` send it both
# to a process and to its group.
ECHO = 1.0


def handled_signals() -> tuple[signal.Signals, ...]:
    """Returns SIGNALS, without SIGHUP if it is ignored, as under nohup."""
    return tuple(
        number
        for number in SIGNALS
        if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN
    )


def exit_now(number: int) -> None:
    """Removes the temporary files of this process and ends it with the exit status of a signal."""
    atomic.abandon()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


class Interruption(Callback):
    """Ends a run on SIGINT (Ctrl-C), SIGTERM, SIGUSR1 or SIGHUP, with a checkpoint.

    The run ends after the current step; with several processes, after the next one. SIGHUP, sent
    when a terminal closes, stays ignored if it was, as under nohup. The exit code is 128 plus the
    signal number: 130, 143, 129 or, on Linux, 138. A second signal ends the process immediately;
    earlier checkpoints remain. Before the first step and after training, the first signal takes
    effect immediately.

    Must be the last callback, so that all others have finished the step.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._received_at = 0.0
        self._stage = "before"  # then "training", then "over"
        self._prints = True
        self._pid = os.getpid()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Installs the signal handlers, and restores the previous ones on exit.

        Does nothing outside the main thread, where Python cannot set handlers.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in handled_signals()}
        self._listen()
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Installs the handlers again, since Lightning sets its own when a fit starts."""
        self._prints = trainer.is_global_zero
        self._stage = "training"
        if threading.current_thread() is threading.main_thread():
            self._listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves a checkpoint and raises InterruptionError, on all ranks if any got a signal."""
        agreement = cast(AdversarialModule, pl_module).processes.agreement
        agreement.propose("signal", self.received or 0)
        if not (agreed := agreement.on("signal")):
            return
        number = signal.Signals(agreed)  # the highest one, if ranks received several
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Checkpoints):
                callback.save(trainer, pl_module)
        raise InterruptionError(
            f"interrupted at step {trainer.global_step} by {number.name}; "
            f"continue with resume={trainer.default_root_dir}",
            number,
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Marks training as finished: a later signal ends the process immediately."""
        self._stage = "over"

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Marks training as finished: no step follows that a signal could wait for."""
        self._stage = "over"

    def _listen(self) -> None:
        for number in handled_signals():
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a forked worker inherits the handlers
        now = time.monotonic()
        if self.received is None:
            self.received, self._received_at = signal.Signals(number), now
            self._respond()
        elif number != self.received or now - self._received_at > ECHO:
            exit_now(number)

    def _respond(self) -> None:
        """Handles the first signal, depending on the stage of the run."""
        name, number = self.received.name, self.received.value  # type: ignore[union-attr]
        if self._stage == "before":
            raise InterruptionError(f"interrupted by {name} before the first step", number)
        if self._stage == "over":
            exit_now(number)
        self._print(
            f"{name} received: the run ends after this step, with a checkpoint; "
            "a second signal ends it immediately"
        )

    def _print(self, line: str) -> None:
        # Python's streams are not reentrant: the signal may have arrived during a write.
        if self._prints:
            with contextlib.suppress(OSError):  # the terminal is gone
                os.write(2, f"\nganforge: {line}\n".encode())


class FolderWatch(Callback):
    """Ends a run if its folder was removed or moved during training.

    Such a run could not save any results. Checks at each logging interval and at the end. Has an
    effect only within ``atomic.keeping_folder``.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the folder at each logging interval.

        Raises:
            RunError: if the folder is gone.
        """
        step = cast(AdversarialModule, pl_module).iteration
        if trainer.is_global_zero and step % max(trainer.log_every_n_steps, 1) == 0:  # type: ignore[attr-defined]
            assert_unmoved(Path(trainer.default_root_dir))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the folder before the run is marked as completed."""
        if trainer.is_global_zero:
            assert_unmoved(Path(trainer.default_root_dir))


def assert_unmoved(folder: Path) -> None:
    """Raises RunError if the folder of a run is gone."""
    try:
        atomic.assert_unmoved(folder)
    except FileNotFoundError as error:
        raise RunError(
            f"{error.strerror}: nothing can be saved any more, so the run ends. Do not move or "
            "remove the folder of a running run; `ganforge runs` shows which are running"
        ) from error
