"""A grid sampler with the same order of combinations for every worker.

Optuna's own sampler ends the study by stopping ``optimize()``, which is not used here, and two
workers may try the same combination.
"""

from __future__ import annotations

import itertools
from random import Random as Generator
from typing import TYPE_CHECKING, Any

from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from ganforge.search.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

CELL = "ganforge_cell"  # trial attribute: index of the trial's combination


class GridSampler(RandomSampler):
    """Assigns each trial the first combination that no other trial has.

    Args:
        space: dimensions, each with finitely many values.
        seed: seed of the order.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(seed)
        self.keys = list(space)
        columns = [dimension.values() or [] for dimension in space.values()]
        self.cells = list(itertools.product(*columns))
        Generator(seed).shuffle(self.cells)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Assigns a combination to the trial; the caller must hold the study's lock."""
        storage, trial_id = study._storage, trial._trial_id
        if CELL in trial.user_attrs or trial.params or "fixed_params" in trial.system_attrs:
            return
        others = storage.get_all_trials(study._study_id, deepcopy=False)
        taken = {t.user_attrs.get(CELL) for t in others if t.state != TrialState.WAITING}
        free = [cell for cell in range(len(self.cells)) if cell not in taken]
        cell = free[0] if free else trial_id % len(self.cells)
        storage.set_trial_user_attr(trial_id, CELL, cell)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the parameter's value in the trial's combination."""
        attributes = study._storage.get_trial_user_attrs(trial._trial_id)
        return self.cells[attributes[CELL]][self.keys.index(param_name)]
