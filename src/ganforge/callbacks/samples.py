from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image

from ganforge.callbacks.pictures.gif import write_gif
from ganforge.callbacks.pictures.grid import save
from ganforge.callbacks.pictures.model_grids import Grids, SampleGrids, TranslationGrids
from ganforge.callbacks.scoring import check_domains
from ganforge.errors import ConfigError, RunError
from ganforge.loggers.facts import PictureLogger
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.update import Weights
from ganforge.needs import translates

log = logging.getLogger("ganforge")


class Samples(Callback):
    """Saves grids of what a model generates during training.

    Models that generate from noise are drawn with fixed latents, and models that translate with
    fixed held-out images; see :mod:`ganforge.callbacks.pictures.model_grids`.

    Writes ``samples/reals.png``, ``samples/step_0001000.png`` ... and ``samples/training.gif`` in
    the run folder, and passes every grid to the loggers that accept images. Does not use the random
    streams of training.

    Args:
        every_n_steps: generator updates between grids; the last step always has a grid.
        count: maximum number of images in a grid, or of translated images; at least one image per
            class is shown.
        seed: seed of the latents, or of networks that sample noise.
        gif: whether to write the GIF when training ends.
        weights: "ema" for the averaged generator, "raw" for the live one.
        include_start: whether to save a grid of the untrained generator.
    """

    def __init__(
        self,
        every_n_steps: int,
        count: int = 64,
        seed: int = 0,
        gif: bool = True,
        weights: Weights = "ema",
        include_start: bool = True,
    ) -> None:
        for name, value in (("every_n_steps", every_n_steps), ("count", count)):
            if value < 1:
                raise ConfigError(f"{name} must be at least 1; got {value}")
        if weights not in get_args(Weights):
            raise ConfigError(f"weights must be one of ema, raw; got {weights!r}")
        self.every_n_steps = every_n_steps
        self.count = count
        self.seed = seed
        self.gif = gif
        self.weights = weights
        self.include_start = include_start
        self._last_step = -1
        self._failed = False

    def check(self, model: object, data: object) -> None:
        """Raises ConfigError if data do not fit the model, before the run folder is created."""
        check_domains(model, data)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves grids of real images and of the untrained generator.

        In a resumed run, deletes grids of later steps instead and keeps an existing reals.png.
        """
        step = cast(AdversarialModule, pl_module).iteration
        if trainer.is_global_zero:
            self._delete_after(trainer, step)
            if not (_folder(trainer) / "reals.png").exists():
                reals = self._grids(trainer).reals()
                self._publish(trainer, "reals", reals, "reals.png", step)
        # Decided by the step, not by files on disk, so that all ranks take the same branch.
        if self.include_start and step == 0:
            self._save_grid(trainer, pl_module)
        self._last_step = step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves a grid every ``every_n_steps`` steps."""
        step = cast(AdversarialModule, pl_module).iteration
        if step % self.every_n_steps == 0 and step != self._last_step:
            self._save_grid(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the grid of the last step, and the GIF."""
        if cast(AdversarialModule, pl_module).iteration != self._last_step:
            self._save_grid(trainer, pl_module)
        self._write_gif(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Writes the GIF if the run was stopped by a KeyboardInterrupt."""
        if isinstance(exception, KeyboardInterrupt):
            self._write_gif(trainer)

    def _save_grid(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = cast(AdversarialModule, pl_module).iteration
        # Sampled on every rank: the module may be sharded, and its collectives need all ranks.
        grids = self._grids(trainer)
        grid = grids.generated()
        self._last_step = step
        if trainer.is_global_zero:
            self._publish(trainer, "samples", grid, f"step_{step:07d}.png", step, grids.caption)

    def _grids(self, trainer: Trainer) -> Grids:
        model, data = trainer.lightning_module, trainer.datamodule  # type: ignore[attr-defined]
        kind = TranslationGrids if translates(model) else SampleGrids
        return kind(cast(AdversarialModule, model), data, self.count, self.seed, self.weights)

    def _delete_after(self, trainer: Trainer, step: int) -> None:
        with self._skipping_errors():
            for path in _saved(trainer):
                if _step_of(path) > step:
                    path.unlink()

    def _write_gif(self, trainer: Trainer) -> None:
        if self.gif and trainer.is_global_zero:
            with self._skipping_errors():
                write_gif(_saved(trainer), _folder(trainer) / "training.gif")

    @contextlib.contextmanager
    def _skipping_errors(self) -> Iterator[None]:
        """Skips files that cannot be read or written, with one warning per run."""
        try:
            yield
        except (OSError, RunError, SyntaxError) as error:  # Pillow: broken PNG
            if not self._failed:
                log.warning("%s; training continues without these pictures", error)
            self._failed = True

    def _publish(
        self,
        trainer: Trainer,
        name: str,
        grid: Image.Image,
        file: str,
        step: int,
        caption: str = "",
    ) -> None:
        with self._skipping_errors():
            save(grid, _folder(trainer) / file)
        for logger in trainer.loggers:
            if isinstance(logger, PictureLogger):
                images = cast(AdversarialModule, trainer.lightning_module).images_seen
                logger.log_picture(name, grid, step, caption=caption, images_seen=images)


def _folder(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / "samples"


def _saved(trainer: Trainer) -> list[Path]:
    return sorted(_folder(trainer).glob("step_*.png"), key=_step_of)


def _step_of(path: Path) -> int:
    number = path.stem.removeprefix("step_")
    return int(number) if re.fullmatch(r"[0-9]{7,}", number) else -1
