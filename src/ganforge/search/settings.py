"""What a search is: the part of a configuration that `tune=NAME` brings."""

from __future__ import annotations

from typing import Literal

from ganforge.errors import ConfigError
from ganforge.search.objectives import check_directions
from ganforge.search.pruners import PrunerFactory
from ganforge.search.samplers import SamplerFactory
from ganforge.search.storage import POSTGRESQL, check_address


class Search:
    """Settings of a search over overrides.

    Args:
        objectives: names of scores, or of numbers at the top of summary.json, each with "minimize"
            or "maximize". A score may go by its option: ``fid`` for ``fid_classifier``. None takes
            an objective out.
        space: override values by key, in Hydra's syntax of sweeps; the command line adds to them.
        sampler: how values are chosen.
        pruner: which trials are given up.
        n_trials: trials in all, however many workers and resumptions.
        n_jobs: trials that this worker hands to the launcher together.
        value: of a score, the "best" or the "final" evaluation of a run.
        collapse: a trial is given up when its images differ from each other less than this share
            of what they have differed at most; 0 for never.
        storage: where the study is kept: a file or ``postgresql://...``; None is ``study.log`` in
            the search's folder.
        study: its name there; None is the folder's date and time.
        beat_seconds: seconds between a worker's signs of life in PostgreSQL.
        trial: which trial a run is; the search sets it.
    """

    def __init__(
        self,
        objectives: dict[str, str],
        space: dict[str, str],
        sampler: SamplerFactory,
        pruner: PrunerFactory,
        n_trials: int = 20,
        n_jobs: int = 1,
        value: Literal["best", "final"] = "best",
        collapse: float = 0.01,
        storage: str | None = None,
        study: str | None = None,
        beat_seconds: float = 60.0,
        trial: int | None = None,
    ) -> None:
        self.objectives = {name: way for name, way in objectives.items() if way is not None}
        self.space = {key: text for key, text in space.items() if text is not None}
        self.sampler = sampler
        self.pruner = pruner
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.value = value
        self.collapse = collapse
        self.storage = storage
        self.study = study
        self.beat_seconds = beat_seconds
        self.trial = trial
        self._check()

    @property
    def best(self) -> bool:
        """Whether a run's best evaluation counts."""
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
                    "tune.study=NAME is needed with a server: all workers of that name share it"
                )
        if self.pruner.prunes and len(self.objectives) > 1:
            raise ConfigError(
                f"a pruner compares one score, and there are {len(self.objectives)} objectives "
                f"({', '.join(self.objectives)}): take pruner=none, or one objective"
            )
