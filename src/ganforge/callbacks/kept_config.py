from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class KeptConfig(Callback):
    """Puts into each checkpoint what the run was made of, by which a resumed one knows its own.

    Args:
        config: plain values by key; no more than what must stay as it is.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the configuration."""
        checkpoint["config"] = self.config
