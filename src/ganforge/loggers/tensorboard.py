from __future__ import annotations

import importlib.util
import json
from argparse import Namespace
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger as LightningTensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from ganforge.errors import ConfigError


class TensorBoardLogger(LightningTensorBoardLogger):
    """Points, pictures and the configuration as TensorBoard events, by step.

    Args:
        folder: the run folder; events go to its subfolder ``tensorboard``.
        flush_seconds: how long a point may wait for the disk.
    """

    def __init__(self, folder: str, flush_seconds: int = 30) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "logger=tensorboard needs the tensorboard package: uv sync --extra tensorboard"
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

    @rank_zero_only
    def truncate_after(self, step: int) -> None:
        """Hides points beyond ``step``: training goes on from a checkpoint of that step.

        To be called before the first point is logged.
        """
        self._kwargs["purge_step"] = step + 1

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:  # type: ignore[override]
        """Logs the run's configuration, given as plain containers, as text."""
        values = vars(params) if isinstance(params, Namespace) else params
        text = json.dumps(values, indent=2, default=str)
        self.experiment.add_text("config", f"```json\n{text}\n```", global_step=0)

    @rank_zero_only
    def log_picture(
        self,
        name: str,
        picture: Image.Image,
        step: int,
        caption: str = "",
        images_seen: int | None = None,
    ) -> None:
        """Logs ``picture`` with the same pixels, by step alone and without a caption."""
        plain = picture.convert("RGBA" if "A" in picture.mode else "RGB")
        self.experiment.add_image(name, np.asarray(plain), step, dataformats="HWC")

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Puts what is pending on the disk."""
        if self._experiment is not None:
            self._experiment.flush()
