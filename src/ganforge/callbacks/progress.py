from __future__ import annotations

import logging
import sys
import time
from typing import Any, Protocol, cast, runtime_checkable

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from ganforge.callbacks.bar import Bar
from ganforge.callbacks.status import Status, describe, number, scores
from ganforge.errors import ConfigError

REFRESH_SECONDS = 0.25

log = logging.getLogger(__name__)


class Game(Protocol):
    """The interface that this callback needs from a module."""

    iteration: int
    images_seen: int


@runtime_checkable
class Budget(Protocol):
    """A callback that tracks training time, such as TimeBudget."""

    seconds: float
    max_seconds: float | None


class Progress(ProgressBar):
    """Shows training progress: a live bar on a terminal, plain log lines elsewhere.

    Shows the values logged last and computes nothing, so that a step costs one clock reading.
    Every evaluation is logged as a separate line in both cases.

    Args:
        every_n_seconds: seconds between log lines without a terminal.
        terminal: whether stdout is a terminal; None detects it.
    """

    def __init__(self, every_n_seconds: float = 10.0, terminal: bool | None = None) -> None:
        if every_n_seconds <= 0:
            raise ConfigError(f"every_n_seconds must be above 0; got {every_n_seconds}")
        super().__init__()
        self.every_n_seconds = every_n_seconds
        self.terminal = terminal
        self._enabled = True
        self._bar: Bar | None = None
        self._began = self._looked = self._logged = 0.0
        self._first_step = 0
        self._logged_step = -1
        self._scores: dict[str, float] = {}

    def disable(self) -> None:
        """Turns output off; Lightning calls this on all ranks except 0."""
        self._enabled = False

    def enable(self) -> None:
        """Turns output on again."""
        self._enabled = True

    def print(self, *args: Any, sep: str = " ", end: str = "\n") -> None:
        """Prints above the bar."""
        if self._enabled:
            self._aside(lambda: print(*args, sep=sep, end=end))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock and, on a terminal, the bar."""
        self._began = self._looked = self._logged = time.monotonic()
        self._first_step = cast(Game, pl_module).iteration
        self._logged_step = -1
        self._scores = scores(_published(trainer))
        terminal = sys.stdout.isatty() if self.terminal is None else self.terminal
        if self._enabled and terminal:
            self._bar = Bar()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Refreshes the display, at most four times a second."""
        now = time.monotonic()
        if self._enabled and now - self._looked >= REFRESH_SECONDS:
            self._looked = now
            self._look(trainer, pl_module, due=now - self._logged >= self.every_n_seconds)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the last line and closes the bar."""
        if self._enabled:
            last = cast(Game, pl_module).iteration != self._logged_step
            self._look(trainer, pl_module, due=last, final=last)
        self._close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Closes the bar, so that it does not mix with the error message."""
        self._close()

    def _look(
        self, trainer: Trainer, pl_module: LightningModule, due: bool, final: bool = False
    ) -> None:
        status = self._status(trainer, pl_module)
        new = scores(status.values)
        evaluated, self._scores = new != self._scores and bool(new), new
        if self._bar is not None:
            self._bar.show(status)
            due = final
        if due or evaluated:
            found = [f"{name} {number(value)}" for name, value in new.items()] if evaluated else []
            line = "  ".join([describe(status), *found])
            self._aside(lambda: log.info("%s", line))
            self._logged, self._logged_step = self._looked, status.step

    def _status(self, trainer: Trainer, pl_module: LightningModule) -> Status:
        game = cast(Game, pl_module)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        clock = next((c for c in callbacks if isinstance(c, Budget)), None)
        return Status(
            step=game.iteration,
            max_steps=trainer.max_steps if trainer.max_steps > 0 else None,
            images_seen=game.images_seen,
            seconds=clock.seconds if clock else 0.0,
            max_seconds=clock.max_seconds if clock else None,
            first_step=self._first_step,
            elapsed=time.monotonic() - self._began,
            values=_published(trainer),
        )

    def _aside(self, speak: Any) -> None:
        """Calls ``speak`` with the bar cleared, whatever stream it writes to."""
        if self._bar is None:
            speak()
        else:
            with self._bar.away():
                speak()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _published(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
