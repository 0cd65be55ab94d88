from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as RichProgress

from ganforge.callbacks.status import Status, describe, details, number, position, scores
from ganforge.errors import ConfigError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.observations import Stopwatch

REFRESH_SECONDS = 0.25
BAR_WIDTH = 12  # columns of the bar itself
PERCENT_WIDTH = 8  # columns of the percentage and the gaps

log = logging.getLogger(__name__)


class TimeBudget(Callback):
    """Ends a run after ``max_seconds`` of training, summed over all resumes.

    Args:
        max_seconds: the budget; evaluations, sample grids and checkpoints do not count.

    Attributes:
        seconds: training time used so far.
    """

    def __init__(self, max_seconds: float) -> None:
        self.max_seconds = max_seconds
        self._stopwatch = Stopwatch()

    @property
    def seconds(self) -> float:
        """Seconds of the budget used so far."""
        return self._stopwatch.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Uses the module's stopwatch, which checkpoints store."""
        self._stopwatch = cast(AdversarialModule, pl_module).stopwatch

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops all ranks together, since their clocks differ, when one has used up the budget."""
        agreement = cast(AdversarialModule, pl_module).processes.agreement
        agreement.propose("stop", int(self.seconds >= self.max_seconds))
        if agreement.on("stop"):
            trainer.should_stop = True


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
        self._began = self._refreshed = self._logged = 0.0
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
            self._above_bar(lambda: print(*args, sep=sep, end=end))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock and, on a terminal, the bar."""
        self._began = self._refreshed = self._logged = time.monotonic()
        self._first_step = cast(AdversarialModule, pl_module).iteration
        self._logged_step = -1
        self._scores = scores(_published(trainer))
        terminal = sys.stdout.isatty() if self.terminal is None else self.terminal
        if self._enabled and terminal:
            self._bar = Bar()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Refreshes the display, at most four times a second."""
        now = time.monotonic()
        if self._enabled and now - self._refreshed >= REFRESH_SECONDS:
            self._refreshed = now
            self._refresh(trainer, pl_module, due=now - self._logged >= self.every_n_seconds)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the last line and closes the bar."""
        if self._enabled:
            last = cast(AdversarialModule, pl_module).iteration != self._logged_step
            self._refresh(trainer, pl_module, due=last, final=last)
        self._close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Closes the bar, so that it does not mix with the error message."""
        self._close()

    def _refresh(
        self, trainer: Trainer, pl_module: LightningModule, due: bool, final: bool = False
    ) -> None:
        status = self._status(trainer, pl_module)
        new = scores(status.values)
        evaluated, self._scores = new != self._scores and bool(new), new
        if self._bar is not None:
            self._bar.show(status)
            due = final
        if due or evaluated:
            texts = [f"{name} {number(value)}" for name, value in new.items()] if evaluated else []
            line = "  ".join([describe(status), *texts])
            self._above_bar(lambda: log.info("%s", line))
            self._logged, self._logged_step = self._refreshed, status.step

    def _status(self, trainer: Trainer, pl_module: LightningModule) -> Status:
        module = cast(AdversarialModule, pl_module)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        clock = next((c for c in callbacks if isinstance(c, TimeBudget)), None)
        return Status(
            step=module.iteration,
            max_steps=trainer.max_steps if trainer.max_steps > 0 else None,
            images_seen=module.images_seen,
            seconds=clock.seconds if clock else 0.0,
            max_seconds=clock.max_seconds if clock else None,
            first_step=self._first_step,
            elapsed=time.monotonic() - self._began,
            values=_published(trainer),
        )

    def _above_bar(self, write: Callable[[], object]) -> None:
        """Calls ``write`` with the bar cleared, whatever stream it writes to."""
        if self._bar is None:
            write()
        else:
            with self._bar.cleared():
                write()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Bar:
    """A live progress line on the terminal, redrawn only by :meth:`show` (no refresh thread).

    Args:
        console: where to draw; None for standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=BAR_WIDTH),
            TaskProgressColumn(),
            TextColumn("{task.fields[details]}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("training", total=None, details="")
        self._progress.start()

    def show(self, status: Status) -> None:
        """Draws ``status``, shortened to the width of the terminal."""
        where, parts = position(status), details(status)
        room = self._progress.console.width - len(where) - BAR_WIDTH - PERCENT_WIDTH
        while len(parts) > 1 and len("  ".join(parts)) > room:
            del parts[1]  # drop losses first; keep images (first) and remaining time (last)
        self._progress.update(
            self._task,
            description=where,
            total=None if status.done is None else 1.0,
            completed=status.done or 0.0,
            details="  ".join(parts),
        )
        self._progress.refresh()

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        """Clears the line for the duration of the block, so that other output can be written."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def close(self) -> None:
        """Clears the line and stops drawing."""
        self._progress.stop()


def _published(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
