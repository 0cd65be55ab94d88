"""Hydra's way to the searches of ganforge.search: it imports this file at each start."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from ganforge.errors import ConfigError


class SearchSweeper(Sweeper):
    """Searches over overrides, as tune=NAME says.

    Args:
        max_batch_size: a grid's; must be None, for a search has ``tune.n_jobs``.
        params: further override values by key, as in ``tune.space``.
    """

    def __init__(
        self, max_batch_size: int | None = None, params: dict[str, str] | None = None
    ) -> None:
        super().__init__()
        if max_batch_size is not None:
            raise ConfigError("hydra.sweeper.max_batch_size is a grid's; a search has tune.n_jobs")
        self.params = [f"{key}={value}" for key, value in (params or {}).items()]
        self.task: TaskFunction | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what Hydra hands over; a launcher is made once the search's folder is known."""
        self.hydra_context, self.task, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the trials of a search; returns the best value of its first objective."""
        from ganforge.search.sweep import sweep_search

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task is not None
        typed = [*self.params, *arguments]
        return sweep_search(typed, self.config, self.hydra_context, self.task)
