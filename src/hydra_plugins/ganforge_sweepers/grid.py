"""Hydra's way to the grids of ganforge.sweeps: it imports this file at each start."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(BasicSweeper):
    """Sweeps that go on after a failed job, and after having been killed.

    Args:
        max_batch_size: jobs handed at a time to a launcher that runs them side by side; None: all.
        params: overrides of every sweep, by key, such as ``{"seed": "1,2,3"}``.
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
        """Keeps what Hydra hands over; a launcher is made once the sweep's folder is known."""
        self.hydra_context, self.task, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the jobs of a command line; returns the best score of each, by number."""
        from ganforge.sweeps.grid import sweep_grid

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task is not None
        typed = [*self._parse_config(), *arguments]
        return sweep_grid(typed, self.config, self.hydra_context, self.task, self.max_batch_size)
