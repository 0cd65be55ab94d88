"""Hydra plugin for the hyperparameter searches of ganforge.search.

Hydra imports this file at every start, so imports of ganforge.search are deferred to the methods.
"""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from ganforge.errors import ConfigError


class SearchSweeper(Sweeper):
    """Searches over override values, as configured by tune=NAME.

    Args:
        max_batch_size: must be None; searches use ``tune.n_jobs`` instead.
        params: further override values by key, as in ``tune.space``.

    Raises:
        ConfigError: if ``max_batch_size`` is set.
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
        """Stores Hydra's context; the launcher is created once the search folder is known."""
        self.hydra_context, self.task, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the trials of a search and returns the best value of the first objective."""
        from ganforge.search.sweep import sweep_search

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task is not None
        typed = [*self.params, *arguments]
        return sweep_search(typed, self.config, self.hydra_context, self.task)
