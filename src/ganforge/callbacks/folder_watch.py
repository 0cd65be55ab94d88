from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge import atomic
from ganforge.errors import RunError
from ganforge.models.engine.adversarial import AdversarialModule


class FolderWatch(Callback):
    """Ends a run if its folder was removed or moved during training.

    Such a run could not save any results. Checks at each logging interval and at the end. Has an
    effect only within ``atomic.standing``.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the folder at each logging interval.

        Raises:
            RunError: if the folder is gone.
        """
        step = cast(AdversarialModule, pl_module).iteration
        if trainer.is_global_zero and step % max(trainer.log_every_n_steps, 1) == 0:  # type: ignore[attr-defined]
            assert_unmoved(Path(trainer.default_root_dir))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the folder before the run is marked as completed."""
        if trainer.is_global_zero:
            assert_unmoved(Path(trainer.default_root_dir))


def assert_unmoved(folder: Path) -> None:
    """Raises RunError if the folder of a run is gone."""
    try:
        atomic.assert_unmoved(folder)
    except FileNotFoundError as error:
        raise RunError(
            f"{error.strerror}: nothing more can be saved, and the run ends. Leave run folders "
            "where they are until their runs have ended; ganforge runs shows which are running"
        ) from error
