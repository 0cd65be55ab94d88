"""A study, whose trials are handed out once, however many workers share it or are killed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, cast

from ganforge.errors import ConfigError, RunError
from ganforge.search.settings import Search
from ganforge.search.space import Space, text_of
from ganforge.search.storage import Storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

ABANDONED = "abandoned"  # of a trial that ended with its worker: another one takes its values
REPEATS = "repeats"  # the number of the abandoned trial whose values a trial has
FOLDER = "folder"  # where a trial's run is
OWNER = "worker"  # the folder of the search that runs a trial
ERROR = "error"
TERMS = "terms"  # what a study was made of, to refuse another search in it
Alive = Callable[[str], bool]


class SharedStudy:
    """Hands out the trials of a study.

    Args:
        search: its settings.
        space: its dimensions by key.
        storage: where it is kept.
        name: its name there.
        terms: what else all workers must agree in, such as the fixed overrides.
        owner: this worker's folder.
        alive: tells whether the worker of a folder lives; asked of file storages alone.

    Raises:
        ConfigError: the study of that name is another search.
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
        """Hands out a trial with its values; None when all are handed out.

        Values of abandoned trials come first.
        """
        from optuna.trial import TrialState

        with self.storage.turn():
            self._abandon_dead()
            trials = self.study.get_trials(deepcopy=False)
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if not waiting and len(counted(trials)) >= self.limit:
                return None
            self.study.sampler = self.search.sampler.build(self.space, len(trials))
            trial = self.study.ask({key: d.distribution() for key, d in self.space.items()})
            trial.set_user_attr(OWNER, self.owner)
            return trial

    def others_running(self) -> int:
        """Returns how many trials other workers are at."""
        from optuna.trial import TrialState

        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return sum(trial.user_attrs.get(OWNER) != self.owner for trial in running)

    def overrides(self, trial: Trial | FrozenTrial) -> list[str]:
        """Returns a trial's values as overrides."""
        return [f"{key}={text_of(d, trial.params[key])}" for key, d in self.space.items()]

    def place(self, number: int) -> int:
        """Returns how many trials there are up to one, those that are repeated left out."""
        trials = counted(self.study.get_trials(deepcopy=False))
        return sum(trial.number <= number for trial in trials)

    def completed(self) -> list[FrozenTrial]:
        """Returns the trials that ran to their end."""
        from optuna.trial import TrialState

        return list(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    def best_trials(self) -> list[FrozenTrial]:
        """Returns completed trials, the best first; of several objectives, the Pareto front."""
        if len(self.search.objectives) > 1:
            return sorted(self.study.best_trials, key=lambda trial: trial.values[0])
        (way,) = self.search.objectives.values()
        done = sorted(self.completed(), key=lambda trial: trial.number)
        return sorted(done, key=lambda trial: trial.values[0], reverse=way == "maximize")

    def best(self) -> FrozenTrial | None:
        """Returns the best trial by the first objective, None before the first is completed."""
        way = next(iter(self.search.objectives.values()))
        choose = max if way == "maximize" else min
        return choose(self.completed(), key=lambda trial: trial.values[0], default=None)

    def shown(self, trial: Trial | FrozenTrial) -> list[str]:
        """Returns a trial's values for readers, to four digits."""
        found = {key: trial.params[key] for key in self.space}
        return [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in found.items()]

    def complete(self, trial: Trial, values: list[float]) -> None:
        """Ends a trial with its objectives' values."""
        with self._still_ours():
            self.study.tell(trial, values, skip_if_finished=True)

    def prune(self, trial: Trial, reason: str) -> None:
        """Ends a trial that was given up."""
        self._end(trial, "PRUNED", reason)

    def fail(self, trial: Trial, reason: str) -> None:
        """Ends a trial that failed; the search goes on."""
        self._end(trial, "FAIL", reason)

    def abandon(self, trial: Trial | FrozenTrial, reason: str) -> None:
        """Ends a trial that was interrupted, and queues its values again."""
        from optuna.trial import TrialState, create_trial

        storage, own = self.storage.optuna, trial._trial_id
        with contextlib.suppress(RuntimeError, KeyError):  # ended meanwhile: nothing to repeat
            storage.set_trial_user_attr(own, ABANDONED, True)
            storage.set_trial_user_attr(own, ERROR, reason)
            if not storage.set_trial_state_values(own, TrialState.FAIL):
                return
            found = storage.get_trial(own)
            kept = {k: v for k, v in found.user_attrs.items() if k not in (ABANDONED, ERROR, OWNER)}
            self.study.add_trial(
                create_trial(
                    state=TrialState.WAITING,
                    system_attrs={"fixed_params": found.params},
                    user_attrs=kept | {REPEATS: found.number},
                )
            )

    def _abandon_dead(self) -> None:
        """Takes back the trials of workers that are gone."""
        from optuna.trial import TrialState

        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        silent = self.storage.silent(self.study._study_id, [t._trial_id for t in running])
        for trial in running:
            owner = str(trial.user_attrs.get(OWNER, ""))
            gone = (
                trial._trial_id in silent
                if self.storage.server is not None
                else owner != self.owner and not self.alive(owner)
            )
            if gone:
                self.abandon(trial, "its worker was killed")

    def take_back(self) -> None:
        """Takes back what a killed worker of this very folder had begun."""
        from optuna.trial import TrialState

        with self.storage.turn():
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if trial.user_attrs.get(OWNER) == self.owner:
                    self.abandon(trial, "its worker was killed")

    def _end(self, trial: Trial, state: str, reason: str) -> None:
        from optuna.trial import TrialState

        with self._still_ours():
            trial.set_user_attr(ERROR, reason)
            self.study.tell(trial, state=TrialState[state], skip_if_finished=True)

    @contextlib.contextmanager
    def _still_ours(self) -> Iterator[None]:
        """Lets go of a trial that others took for dead: they have run it again."""
        from optuna.exceptions import UpdateFinishedTrialError

        with contextlib.suppress(UpdateFinishedTrialError):
            yield

    def _agree(self, terms: dict[str, Any]) -> None:
        # Texts, since an interval's limits would come back as they were, but a tuple as a list.
        ours = terms | {"objectives": dict(self.search.objectives)}
        ours |= {"space": {key: repr(dimension) for key, dimension in self.space.items()}}
        theirs = self.study.user_attrs.get(TERMS)
        if theirs is None:
            self.study.set_user_attr(TERMS, ours)
            return
        differing = [key for key in ours if ours[key] != theirs.get(key)]
        if differing:
            lines = [f"  {key}: {theirs.get(key)} there, {ours[key]} here" for key in differing]
            raise ConfigError(
                f"the study {self.study.study_name!r} in {self.storage.shown} is another search:\n"
                + "\n".join(lines)
                + "\ntune.study=NAME starts one of its own"
            )


def open_study(search: Search, storage: Storage, name: str, create: bool = False) -> Study:
    """Opens a study with the search's pruner, which is no part of what is kept.

    Raises:
        ConfigError: one of that name has other objectives.
        RunError: there is none of that name, and none is to be made.
    """
    import optuna

    pruner = search.pruner.build()
    sampler = optuna.samplers.RandomSampler(seed=0)  # takes no part in a trial under way
    if not create:
        try:
            return optuna.load_study(
                study_name=name, storage=storage.optuna, pruner=pruner, sampler=sampler
            )
        except KeyError as error:
            raise RunError(f"no study {name!r} in {storage.shown}") from error
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
            f"the study {name!r} in {storage.shown} has {len(study.directions)} objectives or "
            "other directions; tune.study=NAME starts one of its own"
        )
    return study


def counted(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Returns the trials that count: all but those that ended with their worker."""
    return [trial for trial in trials if not trial.user_attrs.get(ABANDONED)]
