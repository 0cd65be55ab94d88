"""Hydra plugin for the grid sweeps of ganforge.sweeps.

Hydra imports this file at every start, so imports of ganforge.sweeps are deferred to the methods.
"""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(BasicSweeper):
    """Runs grid sweeps that continue after a failed job and can be resumed after a kill.

    Args:
        max_batch_size: jobs per batch of a parallel launcher; None for all jobs at once.
        params: overrides for every sweep by key, such as ``{"seed": "1,2,3"}``.
    """

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
    ) -> None:
        super().__init__(max_batch_size, params)
        self.task: TaskFunction | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Stores Hydra's context; the launcher is created once the sweep folder is known."""
        self.hydra_context, self.task, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the jobs of a command line and returns the best score of each job by number."""
        from ganforge.sweeps.grid import sweep_grid

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task is not None
        typed = [*self._parse_config(), *arguments]
        return sweep_grid(typed, self.config, self.hydra_context, self.task, self.max_batch_size)
