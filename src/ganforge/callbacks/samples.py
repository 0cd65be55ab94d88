from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor

from ganforge.callbacks.checks import check_generates
from ganforge.callbacks.pictures.gif import write_gif
from ganforge.callbacks.pictures.grid import by_class, picture, save
from ganforge.callbacks.pictures.row_labels import label_rows
from ganforge.callbacks.pictures.scatter import scatter_of
from ganforge.data.module import ImageDataModule
from ganforge.errors import ConfigError, RunError
from ganforge.loggers.facts import PictureLogger
from ganforge.models.engine.adversarial import AdversarialModule

log = logging.getLogger("ganforge")

Weights = Literal["ema", "raw"]
ROWS = 16  # maximum number of classes shown
SEARCHED_REALS = 4096  # real images searched for examples of each class


class SampleSettings(TypedDict, total=False):
    """Arguments of Samples whose defaults other grids share."""

    seed: int
    gif: bool
    weights: Weights
    include_start: bool


class Samples(Callback):
    """Saves grids of samples from fixed latents during training.

    For conditional models, the grids of samples and of labeled real images have one row per class
    (the first 16 classes), with the class name next to it. Data sets of 2-D points are drawn as a
    density plot instead of a grid.

    Writes ``samples/reals.png``, ``samples/step_0001000.png`` ... and ``samples/training.gif`` in
    the run folder, and passes every grid to the loggers that accept images. Does not use the random
    streams of training.

    Args:
        every_n_steps: generator updates between grids; the last step always has a grid.
        count: maximum number of images in a grid; at least one image per class is shown.
        seed: seed of the latents.
        gif: whether to write the GIF when training ends.
        weights: "ema" for the averaged generator, "raw" for the live one.
        include_start: whether to save a grid of the untrained generator.

    Attributes:
        caption: caption that loggers show below a grid of samples.
    """

    caption: str = ""

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
        """Raises ConfigError for image-to-image models, before the run folder is created."""
        check_generates(model, "saves")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves grids of real images and of the untrained generator.

        In a resumed run, deletes grids of later steps instead and keeps an existing reals.png.
        """
        step = cast(AdversarialModule, pl_module).iteration
        if trainer.is_global_zero:
            self._delete_after(trainer, step)
            if not (_folder(trainer) / "reals.png").exists():
                reals = self.drawn_reals(trainer, pl_module)
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
        grid = self.drawn(trainer, pl_module)
        self._last_step = step
        if trainer.is_global_zero:
            self._publish(trainer, "samples", grid, f"step_{step:07d}.png", step)

    def drawn(self, trainer: Trainer, pl_module: LightningModule) -> Image.Image:
        """Returns the current grid of samples, or a density plot for 2-D points."""
        model = cast(AdversarialModule, pl_module)
        return self._scatter(trainer, model) or self._grid(model, _names(trainer, model))

    def drawn_reals(self, trainer: Trainer, pl_module: LightningModule) -> Image.Image:
        """Returns the grid of real images, or a density plot for 2-D points."""
        model = cast(AdversarialModule, pl_module)
        data = cast(ImageDataModule, trainer.datamodule)  # type: ignore[attr-defined]
        rows = min(data.num_classes, ROWS) if model.num_classes > 0 else 0
        plot = scatter_of(data, lambda n: data.reals(min(n, data.size("train")))[0])
        return plot or self._grid_of_reals(data, rows, _names(trainer, model))

    def _scatter(self, trainer: Trainer, model: AdversarialModule) -> Image.Image | None:
        """Returns a density plot if the data are 2-D points; None for images."""

        def points(n: int) -> Tensor:
            return model.sample(n, seed=self.seed, weights=self.weights)

        return scatter_of(getattr(trainer, "datamodule", None), points)

    def _grid(self, model: AdversarialModule, names: list[str]) -> Image.Image:
        rows = min(model.num_classes, ROWS)
        if rows == 0:
            return picture(model.sample(self.count, seed=self.seed, weights=self.weights))
        labels = torch.arange(self._columns(rows) * rows) % rows
        images = model.sample(len(labels), seed=self.seed, weights=self.weights, labels=labels)
        return label_rows(picture(*by_class(images.cpu(), labels, rows)), names[:rows])

    def _columns(self, rows: int) -> int:
        return max(1, self.count // rows)

    def _grid_of_reals(self, data: ImageDataModule, rows: int, names: list[str]) -> Image.Image:
        images, labels = data.reals(min(SEARCHED_REALS if rows else self.count, data.size("train")))
        if rows == 0 or labels is None:
            return picture(images[: self.count])
        chosen = torch.cat([torch.nonzero(labels == c)[: self._columns(rows)] for c in range(rows)])
        chosen = chosen.flatten()
        return label_rows(picture(*by_class(images[chosen], labels[chosen], rows)), names[:rows])

    def _delete_after(self, trainer: Trainer, step: int) -> None:
        with self._skipping_errors():
            for path in _grids(trainer):
                if _step_of(path) > step:
                    path.unlink()

    def _write_gif(self, trainer: Trainer) -> None:
        if self.gif and trainer.is_global_zero:
            with self._skipping_errors():
                write_gif(_grids(trainer), _folder(trainer) / "training.gif")

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
        self, trainer: Trainer, name: str, grid: Image.Image, file: str, step: int
    ) -> None:
        with self._skipping_errors():
            save(grid, _folder(trainer) / file)
        for logger in trainer.loggers:
            if isinstance(logger, PictureLogger):
                images = cast(AdversarialModule, trainer.lightning_module).images_seen
                caption = self.caption if name == "samples" else ""
                logger.log_picture(name, grid, step, caption=caption, images_seen=images)


def _names(trainer: Trainer, model: AdversarialModule) -> list[str]:
    """Returns the class names; [] if the model's classes are not the labels of the data."""
    names = getattr(getattr(trainer, "datamodule", None), "class_names", [])
    are_labels = getattr(model, "classes_are_labels", True) and len(names) == model.num_classes
    return list(names) if are_labels else []


def _folder(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / "samples"


def _grids(trainer: Trainer) -> list[Path]:
    return sorted(_folder(trainer).glob("step_*.png"), key=_step_of)


def _step_of(path: Path) -> int:
    number = path.stem.removeprefix("step_")
    return int(number) if re.fullmatch(r"[0-9]{7,}", number) else -1
