"""Hydra plugin for the grid sweeps of ganforge.sweeps.

Hydra imports this file at every start, so heavy imports are deferred to the method.
"""

from typing import Any

from ganforge.sweeps.sweeper import DeferredSweeper


class GridSweeper(DeferredSweeper):
    """Runs grid sweeps that continue after a failed job and can be resumed after a kill."""

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the jobs of a command line and returns the best score of each job by number."""
        from ganforge.sweeps.grid import sweep_grid

        typed = [*self.params, *arguments]
        return sweep_grid(typed, self.config, self.hydra_context, self.task, self.max_batch_size)
