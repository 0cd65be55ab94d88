from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class KeptConfig(Callback):
    """Puts into each checkpoint what the run was made of.

    A resumed run recognizes its own checkpoints by it, and a checkpoint on its own can be sampled
    and evaluated.

    Args:
        config: plain values by key, with interpolations; only what must stay as it is.
        resolved: the same and what the run is scored by, with interpolations resolved.
        images: returns what tells the training images from others; asked at the first checkpoint.
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
        """Adds the configuration, and what identifies the images."""
        checkpoint["config"] = self.config
        checkpoint["resolved"] = self.resolved
        checkpoint["images"] = self.images()
