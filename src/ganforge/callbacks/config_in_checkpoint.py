from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


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
