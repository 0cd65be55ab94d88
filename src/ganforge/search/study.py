"""A study shared by any number of workers; every trial runs once, even if workers are killed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from ganforge.errors import ConfigError, RunError
from ganforge.search.settings import Search
from ganforge.search.space import Space, text_of
from ganforge.search.storage import Storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

ABANDONED = "abandoned"  # set on a trial that ended with its worker: another trial repeats it
REPEATS = "repeats"  # number of the abandoned trial that a trial repeats
FOLDER = "folder"  # run folder of a trial
OWNER = "worker"  # folder of the search that runs a trial
ERROR = "error"
TERMS = "terms"  # settings of a study that all its workers must share
Alive = Callable[[str], bool]


class SharedStudy:
    """Assigns the trials of a study to workers.

    Args:
        search: settings of the search.
        space: dimensions of the search space, by key.
        storage: storage of the study.
        name: name of the study in the storage.
        terms: further settings that must be equal for all workers, such as the fixed overrides.
        owner: this worker's folder.
        alive: returns whether the worker of a folder is running; used with file storages only.

    Raises:
        ConfigError: if the study of that name belongs to another search.
    """

    def __init__(
        self,
        search: Search,
        space: Space,
        storage: Storage,
        name: str,
        terms: dict[str, Any],
        owner: str,
        alive: Alive,
    ) -> None:
        search.sampler.check(space)
        self.search = search
        self.space = space
        self.storage = storage
        self.owner = owner
        self.alive = alive
        self.limit = min(search.n_trials, search.sampler.trials(space) or search.n_trials)
        with storage.turn():
            self.study = open_study(search, storage, name, create=True)
            self._agree(terms)

    def ask(self) -> Trial | None:
        """Returns a new trial with its values; None if the limit of trials is reached.

        The values of abandoned trials are used first.
        """
        with self.storage.turn():
            self._abandon_dead()
            trials = self.trials()
            # A waiting trial repeats an abandoned one; Optuna's ask() takes it before a new one.
            if not self.trials("WAITING") and len(counted(trials)) >= self.limit:
                return None
            self.study.sampler = self.search.sampler.build(self.space, len(trials))
            trial = self.study.ask({key: d.distribution() for key, d in self.space.items()})
            trial.set_user_attr(OWNER, self.owner)
            return trial

    def others_running(self) -> int:
        """Returns the number of trials that other workers are running."""
        return sum(trial.user_attrs.get(OWNER) != self.owner for trial in self.trials("RUNNING"))

    def overrides(self, trial: Trial | FrozenTrial) -> list[str]:
        """Returns a trial's values as overrides."""
        return [f"{key}={text_of(d, trial.params[key])}" for key, d in self.space.items()]

    def count_up_to(self, number: int) -> int:
        """Returns the number of trials up to and including ``number``, without abandoned ones."""
        return sum(trial.number <= number for trial in counted(self.trials()))

    def trials(self, *states: str) -> list[FrozenTrial]:
        """Returns the trials in these states of Optuna, such as "COMPLETE"; by default, all."""
        from optuna.trial import TrialState

        wanted = tuple(TrialState[state] for state in states) or None
        return list(self.study.get_trials(deepcopy=False, states=wanted))

    def best_trials(self) -> list[FrozenTrial]:
        """Returns completed trials, best first; with several objectives, the Pareto front."""
        if len(self.search.objectives) > 1:
            return sorted(self.study.best_trials, key=lambda trial: trial.values[0])
        (direction,) = self.search.objectives.values()
        done = sorted(self.trials("COMPLETE"), key=lambda trial: trial.number)
        return sorted(done, key=lambda trial: trial.values[0], reverse=direction == "maximize")

    def best(self) -> FrozenTrial | None:
        """Returns the best trial by the first objective; None if no trial is completed."""
        direction = next(iter(self.search.objectives.values()))
        choose = max if direction == "maximize" else min
        return choose(self.trials("COMPLETE"), key=lambda trial: trial.values[0], default=None)

    def described(self, trial: Trial | FrozenTrial) -> list[str]:
        """Returns a trial's values for display, to four digits."""
        values = {key: trial.params[key] for key in self.space}
        return [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in values.items()]

    def complete(self, trial: Trial, values: list[float]) -> None:
        """Marks a trial as completed with the values of its objectives."""
        with _ignoring_retried():
            self.study.tell(trial, values, skip_if_finished=True)

    def stop(self, trial: Trial, kind: Literal["pruned", "failed"], reason: str) -> None:
        """Marks a trial as pruned or failed; the search continues."""
        from optuna.trial import TrialState

        with _ignoring_retried():
            trial.set_user_attr(ERROR, reason)
            state = TrialState.PRUNED if kind == "pruned" else TrialState.FAIL
            self.study.tell(trial, state=state, skip_if_finished=True)

    def abandon(self, trial: Trial | FrozenTrial, reason: str) -> None:
        """Marks an interrupted trial as abandoned and queues its values again."""
        from optuna.trial import TrialState, create_trial

        storage, trial_id = self.storage.optuna, trial._trial_id
        # RuntimeError: the trial has ended in the meantime, so there is nothing to repeat.
        with contextlib.suppress(RuntimeError, KeyError):
            storage.set_trial_user_attr(trial_id, ABANDONED, True)
            storage.set_trial_user_attr(trial_id, ERROR, reason)
            if not storage.set_trial_state_values(trial_id, TrialState.FAIL):
                return
            ended = storage.get_trial(trial_id)
            kept = {k: v for k, v in ended.user_attrs.items() if k not in (ABANDONED, ERROR, OWNER)}
            self.study.add_trial(
                create_trial(
                    state=TrialState.WAITING,
                    system_attrs={"fixed_params": ended.params},
                    user_attrs=kept | {REPEATS: ended.number},
                )
            )

    def _abandon_dead(self) -> None:
        """Abandons the running trials of workers that no longer run."""
        running = self.trials("RUNNING")
        silent = self.storage.silent(self.study._study_id, [t._trial_id for t in running])
        for trial in running:
            owner = str(trial.user_attrs.get(OWNER, ""))
            dead = (
                trial._trial_id in silent
                if self.storage.server is not None
                else owner != self.owner and not self.alive(owner)
            )
            if dead:
                self.abandon(trial, "its worker was killed")

    def take_back(self) -> None:
        """Abandons trials that a killed worker of this same folder left running."""
        with self.storage.turn():
            for trial in self.trials("RUNNING"):
                if trial.user_attrs.get(OWNER) == self.owner:
                    self.abandon(trial, "its worker was killed")

    def _agree(self, terms: dict[str, Any]) -> None:
        # Dimensions are compared as text: the storage's JSON would turn tuples into lists.
        ours = terms | {"objectives": dict(self.search.objectives)}
        ours |= {"space": {key: repr(dimension) for key, dimension in self.space.items()}}
        theirs = self.study.user_attrs.get(TERMS)
        if theirs is None:
            self.study.set_user_attr(TERMS, ours)
            return
        differing = [key for key in ours if ours[key] != theirs.get(key)]
        if differing:
            lines = [f"  {key}: stored {theirs.get(key)}, got {ours[key]}" for key in differing]
            study, storage = self.study.study_name, self.storage.address
            raise ConfigError(
                f"study {study!r} in {storage} belongs to another search:\n"
                + "\n".join(lines)
                + "\ntune.study=NAME creates a separate study"
            )


def open_study(search: Search, storage: Storage, name: str, create: bool = False) -> Study:
    """Opens a study with the search's pruner, which the storage does not keep.

    Raises:
        ConfigError: if the existing study has other objectives.
        RunError: if there is no study of that name and ``create`` is False.
    """
    import optuna

    pruner = search.pruner.build()
    sampler = optuna.samplers.RandomSampler(seed=0)  # placeholder, replaced in ask()
    if not create:
        try:
            return optuna.load_study(
                study_name=name, storage=storage.optuna, pruner=pruner, sampler=sampler
            )
        except KeyError as error:
            raise RunError(f"no study {name!r} in {storage.address}") from error
    directions = cast("list[Literal['minimize', 'maximize']]", list(search.objectives.values()))
    study = optuna.create_study(
        study_name=name,
        storage=storage.optuna,
        pruner=pruner,
        sampler=sampler,
        directions=directions,
        load_if_exists=True,
    )
    if [direction.name.lower() for direction in study.directions] != directions:
        raise ConfigError(
            f"the study {name!r} in {storage.address} has {len(study.directions)} objectives or "
            "other directions; tune.study=NAME creates a separate study"
        )
    return study


def _ignoring_retried() -> contextlib.AbstractContextManager[None]:
    """Ignores the result of a trial that another worker has already retried."""
    from optuna.exceptions import UpdateFinishedTrialError

    return contextlib.suppress(UpdateFinishedTrialError)


def counted(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Returns the trials that count toward the limit: all except abandoned ones."""
    return [trial for trial in trials if not trial.user_attrs.get(ABANDONED)]
