from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge import atomic
from ganforge.callbacks.evaluation import evaluations
from ganforge.errors import ConfigError
from ganforge.loggers.facts import CheckpointLogger
from ganforge.models.engine.adversarial import AdversarialModule


class Checkpoints(Callback):
    """Saves the last state of a run, the one before it, and the best one by the monitored score.

    Saves at the end of a step, after its evaluation. A state with a non-finite loss or non-finite
    weights is never saved.

    Args:
        every_n_steps: generator updates between checkpoints.
    """

    def __init__(self, every_n_steps: int = 500) -> None:
        if every_n_steps < 1:
            raise ConfigError(f"checkpoints.every_n_steps must be at least 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self._saved: tuple[int, int] | None = None
        self._best_step: int | None = None

    @property
    def last_step(self) -> int | None:
        """The step of last.ckpt; None until this process has written it."""
        return self._saved[0] if self._saved else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes partial files of a killed process."""
        if trainer.is_global_zero and _folder(trainer).is_dir():
            atomic.clean(_folder(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves every ``every_n_steps`` steps, and the best state when the score improves."""
        if cast(AdversarialModule, pl_module).iteration % self.every_n_steps == 0:
            self.save(trainer, pl_module)
        elif self._is_new_best(trainer, pl_module):
            self._save_best(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the last step."""
        self.save(trainer, pl_module)

    def save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes last.ckpt, and best.ckpt if the score has improved; once per state."""
        module = cast(AdversarialModule, pl_module)
        # Checkpoints hold scores too, so an evaluation at the same step is a new state.
        state = (module.iteration, sum(len(e.history) for e in evaluations(trainer)))
        if self._saved == state:
            return
        self._saved = state
        module.assert_worth_saving()
        if self._is_new_best(trainer, pl_module):
            self._save_best(trainer, pl_module)
        trainer.save_checkpoint(_folder(trainer) / "last.ckpt")

    def _save_best(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(AdversarialModule, pl_module)
        module.assert_worth_saving()
        self._best_step = module.iteration
        trainer.save_checkpoint(_folder(trainer) / "best.ckpt")

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


def _folder(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints"
