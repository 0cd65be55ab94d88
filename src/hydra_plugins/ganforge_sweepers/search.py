"""Hydra plugin for the hyperparameter searches of ganforge.search.

Hydra imports this file at every start, so heavy imports are deferred to the method.
"""

from typing import Any

from ganforge.errors import ConfigError
from ganforge.sweeps.sweeper import DeferredSweeper


class SearchSweeper(DeferredSweeper):
    """Searches over override values, as configured by tune=NAME; ``params`` adds to its space."""

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the trials of a search and returns the best value of the first objective.

        Raises:
            ConfigError: if ``max_batch_size`` is set.
        """
        from ganforge.search.sweep import sweep_search

        if self.max_batch_size is not None:
            raise ConfigError("hydra.sweeper.max_batch_size is for grids; a search has tune.n_jobs")
        typed = [*self.params, *arguments]
        return sweep_search(typed, self.config, self.hydra_context, self.task)
