from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import Strategy

from ganforge import atomic
from ganforge.callbacks.checkpoint_writer import CheckpointWriter
from ganforge.callbacks.evaluation import evaluations
from ganforge.errors import ConfigError
from ganforge.loggers.facts import CheckpointLogger
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.processes import Agreement

log = logging.getLogger("ganforge")


class Checkpoints(Callback):
    """Saves the last state of a run, the one before it, and the best one by the monitored score.

    Saves at the end of a step, after its evaluation. Several intervals may be set; a checkpoint is
    saved when any of them has passed. The last step and an interrupted step are always saved. A
    state with a non-finite loss or non-finite weights is never saved.

    In the background, training continues while the file is written: it only waits for a copy of the
    state in host memory, and for the checkpoint before if that is still being written. A file
    is complete from the moment that it exists. An error of the writer ends the run at the latest
    before it is completed.

    Args:
        every_n_steps: generator updates between checkpoints; None for any number.
        every_minutes: minutes of wall time since the last checkpoint, by the first clock of several
            processes; None for no limit. Which steps are saved then differs between runs, but not
            what they are resumed to.
        every_images: real images seen between checkpoints; None for no limit.
        background: whether to write files in a thread; "auto" does on accelerators, whose state is
            copied to the host in any case. On the CPU, it takes the memory of one more state.
    """

    def __init__(
        self,
        every_n_steps: int | None = 500,
        every_minutes: float | None = None,
        every_images: int | None = None,
        background: bool | Literal["auto"] = "auto",
    ) -> None:
        _above_zero("every_n_steps", every_n_steps)
        _above_zero("every_minutes", every_minutes, float)
        _above_zero("every_images", every_images)
        if background not in (True, False, "auto"):
            raise ConfigError(
                f"checkpoints.background must be true, false or auto, got {background!r}"
            )
        self.every_n_steps = every_n_steps
        self.every_minutes = every_minutes
        self.every_images = every_images
        self.background = background
        self._restarted = time.monotonic()
        self._images_seen = 0
        self._writer: CheckpointWriter | None = None
        self._saved: tuple[int, int] | None = None
        self._best_step: int | None = None

    @property
    def last_step(self) -> int | None:
        """The step of last.ckpt; None until this process has written it."""
        return self._saved[0] if self._saved else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes partial files of a killed process and starts the intervals."""
        module = cast(AdversarialModule, pl_module)
        self._writer, self._images_seen = None, module.images_seen
        self._restarted = time.monotonic()
        if trainer.is_global_zero and _folder(trainer).is_dir():
            atomic.clean(_folder(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves when an interval has passed, and the best state when the score improves."""
        if self._writer is not None:
            self._writer.check()
        if self._is_due(trainer, cast(AdversarialModule, pl_module)):
            self._save(trainer, pl_module)
        elif self._is_new_best(trainer, pl_module):
            self._save_best(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the last step."""
        self.save(trainer, pl_module)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Waits for a file that is being written; an error of it must not hide ``exception``."""
        try:
            if self._writer is not None:
                self._writer.wait()
        except Exception as error:
            log.warning("%s", error)

    def save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes last.ckpt, and best.ckpt if the score has improved; once per state.

        Returns when the files are complete.
        """
        self._save(trainer, pl_module)
        if self._writer is not None:
            self._writer.wait()
            trainer.strategy.barrier("checkpoint")  # no rank ends while rank 0 is writing

    def _save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(AdversarialModule, pl_module)
        self._restarted = time.monotonic()
        # Checkpoints hold scores too, so an evaluation at the same step is a new state.
        state = (module.iteration, sum(len(e.history) for e in evaluations(trainer)))
        if self._saved == state:
            return
        self._saved = state
        # The best one first: the last one says at which step it was saved.
        best = ["best"] if self._is_new_best(trainer, pl_module) else []
        self._write(trainer, module, [*best, "last"])

    def _save_best(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, cast(AdversarialModule, pl_module), ["best"])

    def _write(self, trainer: Trainer, module: AdversarialModule, kinds: list[str]) -> None:
        module.assert_worth_saving()
        if "best" in kinds:
            self._best_step = module.iteration
        if self._writer is None:
            self._writer = self._installed_writer(trainer.strategy, module.device)
        path, *others = [_folder(trainer) / f"{kind}.ckpt" for kind in kinds]
        trainer.save_checkpoint(path, storage_options=others)

    def _installed_writer(self, strategy: Strategy, device: torch.device) -> CheckpointWriter:
        """Returns the writer that a strategy now saves checkpoints with."""
        io = strategy.checkpoint_io
        if isinstance(io, CheckpointWriter):  # of an earlier fit with the same trainer
            io = io.io
        background = device.type != "cpu" if self.background == "auto" else self.background
        strategy.checkpoint_io = writer = CheckpointWriter(io, background)
        return writer

    def _is_due(self, trainer: Trainer, module: AdversarialModule) -> bool:
        """Whether an interval has passed; equal on all ranks."""
        step, before = module.iteration, self._images_seen
        self._images_seen = module.images_seen
        if self.every_n_steps is not None and step % self.every_n_steps == 0:
            return True
        every = self.every_images
        if every is not None and module.images_seen // every > before // every:
            return True
        return self.every_minutes is not None and self._is_late(module.processes.agreement)

    def _is_late(self, agreement: Agreement) -> bool:
        # What was proposed in the step before is agreed on first, or it would be proposed again.
        if not agreement.on("save"):
            passed = time.monotonic() - self._restarted >= 60 * (self.every_minutes or 0)
            agreement.propose("save", int(passed))
        return bool(agreement.on("save"))

    def _is_new_best(self, trainer: Trainer, pl_module: LightningModule) -> bool:
        step = cast(AdversarialModule, pl_module).iteration
        scored = [e.best["step"] for e in evaluations(trainer) if e.best]
        return step in scored and step != self._best_step

    def state_dict(self) -> dict[str, Any]:
        """Returns the step of best.ckpt."""
        return {"best_step": self._best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the step of best.ckpt."""
        self._best_step = state_dict["best_step"]


class ConfigInCheckpoint(Callback):
    """Stores the run's configuration and the identity of its images in each checkpoint.

    Resuming uses it to check that a checkpoint belongs to the run. It also makes checkpoints
    self-contained, so that they can be sampled and evaluated without the run folder.

    Args:
        config: plain values by key, with interpolations; only settings that must not change.
        resolved: the same settings and those of the evaluation, with interpolations resolved.
        images: returns the identity of the training images; called when a checkpoint is saved.
    """

    def __init__(
        self,
        config: dict[str, Any],
        resolved: dict[str, Any],
        images: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self.config = config
        self.resolved = resolved
        self.images = images

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the configuration and the identity of the images to ``checkpoint``."""
        checkpoint["config"] = self.config
        checkpoint["resolved"] = self.resolved
        checkpoint["images"] = self.images()


class CheckpointArtifacts(Callback):
    """Passes the best and the last checkpoint to the loggers that store them, when training ends.

    Also if it ends with an error, so that the last good state of a failed run is stored. Must come
    after the callbacks that write checkpoints.
    """

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the checkpoints of a completed run."""
        self._log(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Logs the checkpoints of an interrupted or failed run."""
        self._log(trainer)

    def _log(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        best: dict[str, Any] = next((e.best for e in evaluations(trainer) if e.best), {})
        files = {"best": dict(best), "last": {"step": _last_step(trainer)}}
        for logger in trainer.loggers:
            if isinstance(logger, CheckpointLogger) and logger.checkpoints:
                for kind, facts in files.items():
                    if (path := _folder(trainer) / f"{kind}.ckpt").is_file():
                        alias = "latest" if kind == "last" else kind
                        logger.log_checkpoint(path, [alias], facts)


def _last_step(trainer: Trainer) -> int | None:
    """Returns the step of last.ckpt; None if this process has not written it."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    steps = [c.last_step for c in callbacks if isinstance(c, Checkpoints)]
    return steps[0] if steps else None


def _above_zero(name: str, value: float | None, kind: type = int) -> None:
    number = isinstance(value, int | kind) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value < math.inf):
        raise ConfigError(
            f"checkpoints.{name} must be above 0, or null to leave it out, got {value}"
        )


def _folder(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints"
