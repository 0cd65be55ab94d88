from __future__ import annotations

import importlib.util
import json
import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import TensorBoardLogger as LightningTensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from ganforge.errors import ConfigError, install
from ganforge.loggers.no_run import NoRun

log = logging.getLogger(__name__)


class TensorBoardLogger(LightningTensorBoardLogger):
    """Logs metrics, images and the configuration as TensorBoard events, by step.

    If events cannot be written, training continues without them, with one warning.

    Args:
        folder: the run folder; events are written to its subfolder ``tensorboard``.
        flush_seconds: maximum seconds between flushes to disk.
    """

    def __init__(self, folder: str, flush_seconds: int = 30) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                f"logger=tensorboard needs the tensorboard package: {install('tensorboard')}"
            )
        if flush_seconds <= 0:
            raise ConfigError(f"flush_seconds must be above 0; got {flush_seconds}")
        super().__init__(
            folder,
            name="tensorboard",
            version="",
            default_hp_metric=False,
            flush_secs=flush_seconds,
        )

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The ``SummaryWriter``; a ``NoRun`` after events could not be written."""
        try:
            return self._experiment or super().experiment
        except Exception as error:  # a file at the folder's path, a full disk, no permission
            self._silence(error)
            return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs ``metrics`` at ``step``."""
        parent = super().log_metrics
        self._send(lambda: parent(metrics, step))

    @rank_zero_only
    def truncate_after(self, step: int) -> None:
        """Hides points after ``step``, the step of the checkpoint that training resumes from.

        Must be called before the first point is logged.
        """
        self._kwargs["purge_step"] = step + 1

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:  # type: ignore[override]
        """Logs the configuration, given as plain containers, as a JSON text."""
        values = vars(params) if isinstance(params, Namespace) else params
        text = json.dumps(values, indent=2, default=str)
        block = f"```json\n{text}\n```"
        self._send(lambda: self.experiment.add_text("config", block, global_step=0))

    @rank_zero_only
    def log_picture(
        self,
        name: str,
        picture: Image.Image,
        step: int,
        caption: str = "",
        images_seen: int | None = None,
    ) -> None:
        """Logs ``picture`` without loss at ``step``; ignores caption and ``images_seen``."""
        plain = np.asarray(picture.convert("RGBA" if "A" in picture.mode else "RGB"))
        self._send(lambda: self.experiment.add_image(name, plain, step, dataformats="HWC"))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Flushes pending events to disk."""
        writer: Any = self._experiment
        if writer is not None:
            self._send(lambda: writer.flush())

    def _send(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # the writer thread re-raises any error here
            self._silence(error)

    def _silence(self, error: Exception) -> None:
        self._experiment = cast(Any, NoRun())
        log.warning(
            "TensorBoard events cannot be written (%s). Training continues, and metrics.csv has "
            "every point.",
            error,
        )
