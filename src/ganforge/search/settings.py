"""Settings of a search: the part of a configuration that `tune=NAME` adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganforge.errors import ConfigError
from ganforge.search.objectives import check_directions
from ganforge.search.pruners import PrunerFactory
from ganforge.search.samplers import SamplerFactory
from ganforge.search.storage import POSTGRESQL, check_address


@dataclass(repr=False)  # the storage may contain a password
class Search:
    """Settings of a hyperparameter search over overrides.

    Args:
        objectives: scores or top-level numbers of summary.json, each with "minimize" or
            "maximize". A score may be given by its option name: ``fid`` for ``fid_classifier``.
            None removes an objective.
        space: override values by key, in Hydra's sweep syntax; the command line adds to them.
        sampler: how values are chosen.
        pruner: which trials are stopped early.
        n_trials: total number of trials, over all workers and resumes.
        n_jobs: trials that this worker launches at a time.
        value: whether a score is the "best" or the "final" evaluation of a run.
        collapse: prunes a trial if the diversity of its images drops below this fraction of its
            maximum during the run; 0 disables this.
        storage: storage of the study: a file or ``postgresql://...``; None is ``study.log`` in the
            search's folder.
        study: name of the study in the storage; None is the folder's date and time.
        beat_seconds: seconds between a worker's heartbeats in PostgreSQL.
        trial: number of the trial that a run is; set by the search.
    """

    objectives: dict[str, str]
    space: dict[str, str]
    sampler: SamplerFactory
    pruner: PrunerFactory
    n_trials: int = 20
    n_jobs: int = 1
    value: Literal["best", "final"] = "best"
    collapse: float = 0.01
    storage: str | None = None
    study: str | None = None
    beat_seconds: float = 60.0
    trial: int | None = None

    def __post_init__(self) -> None:
        self.objectives = {
            name: direction for name, direction in self.objectives.items() if direction is not None
        }
        self.space = {key: text for key, text in self.space.items() if text is not None}
        self._check()

    @property
    def best(self) -> bool:
        """Whether a run's best evaluation is used instead of its last."""
        return self.value == "best"

    def _check(self) -> None:
        check_directions(self.objectives)
        for name in ("n_trials", "n_jobs", "beat_seconds"):
            if getattr(self, name) < 1:
                raise ConfigError(f"tune.{name} must be at least 1, got {getattr(self, name)}")
        if self.value not in ("best", "final"):
            raise ConfigError(f"tune.value must be one of best, final, got {self.value!r}")
        if not 0 <= self.collapse < 1:
            raise ConfigError(f"tune.collapse must be at least 0 and below 1, got {self.collapse}")
        if self.storage is not None:
            check_address(self.storage)
            if self.storage.startswith(POSTGRESQL) and self.study is None:
                raise ConfigError(
                    "tune.study=NAME is needed with a server: workers with the same NAME share it"
                )
        if self.pruner.prunes and len(self.objectives) > 1:
            raise ConfigError(
                f"a pruner compares one score, but there are {len(self.objectives)} objectives "
                f"({', '.join(self.objectives)}): use pruner=none, or one objective"
            )
