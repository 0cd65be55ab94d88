"""Base of Hydra's sweeper plugins. Imports nothing heavy: Hydra loads plugins at every start."""

from __future__ import annotations

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class DeferredSweeper(Sweeper):
    """Stores Hydra's context; the launcher is created once the sweep's folder is known.

    Args:
        max_batch_size: jobs per batch of a parallel launcher; None for all jobs at once.
        params: overrides for every sweep by key, such as ``{"seed": "1,2,3"}``.
    """

    hydra_context: HydraContext
    config: DictConfig

    def __init__(
        self, max_batch_size: int | None = None, params: dict[str, str] | None = None
    ) -> None:
        self.max_batch_size = max_batch_size
        self.params = [f"{key}={value}" for key, value in (params or {}).items()]

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Stores the arguments."""
        self.hydra_context, self.task, self.config = hydra_context, task_function, config
