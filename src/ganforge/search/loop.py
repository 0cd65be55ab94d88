"""The loop of a search: gets trials, trains them and reports the results until the limit."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hydra.core.utils import JobStatus

from ganforge.config.job_names import job_folder
from ganforge.config.quoting import quoted
from ganforge.runs.folder import RunFolder
from ganforge.runs.lock import is_locked
from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.search.objectives import ObjectiveError, value_of
from ganforge.search.report import published
from ganforge.search.settings import Search
from ganforge.search.study import FOLDER, SharedStudy
from ganforge.sweeps.progress import announce
from ganforge.sweeps.runner import Launch, TrainInProcess
from ganforge.sweeps.signals import ending_on_signals

if TYPE_CHECKING:
    from optuna.trial import Trial

PRUNING_ERRORS = ("PrunedError", "DivergenceError")
Kind = Literal["completed", "pruned", "failed"]
WAIT = 5.0  # maximum seconds between polls of other workers' trials


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        kind: completed, pruned (by the pruner, or diverged) or failed.
        values: values of the objectives if the trial completed, else empty.
        reason: why the trial did not complete.
    """

    kind: Kind
    values: list[float]
    reason: str = ""


@dataclass
class Run:
    """A trial that is being run.

    Attributes:
        trial: the trial in the study.
        job: its entry in the sweep's record.
        overrides: overrides of its run.
    """

    trial: Trial
    job: Job
    overrides: list[str]


@dataclass
class SearchRun:
    """Runs the trials of a worker.

    Attributes:
        study: the study that assigns trials.
        record: the record in this worker's folder.
        fixed: overrides shared by all trials.
        launch: passes jobs to Hydra's launcher, numbered from the given first job on.
        apart: trains in a separate process; None if the launcher runs every trial.
    """

    study: SharedStudy
    record: SweepRecord
    fixed: list[str]
    launch: Launch
    apart: TrainInProcess | None = None

    def run(self) -> None:
        """Runs trials until none is left, including trials that other workers abandon.

        Raises:
            ObjectiveError: if the runs do not measure an objective.
            KeyboardInterrupt: if the search was interrupted.
        """
        try:
            with ending_on_signals():
                while runs := self._ask():
                    self._run(runs)
        except BaseException as error:
            self._finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        self._finish("completed")

    def _ask(self) -> list[Run]:
        """Returns the next trials to run; empty if all trials of the study have ended.

        Waits while other workers run the last trials: if one is killed, its trial is retried here.
        """
        announced = False
        while True:
            trials: list[Trial] = []
            while len(trials) < self.study.search.n_jobs and (trial := self.study.ask()):
                trials.append(trial)
            if trials:
                return [self._begin(trial) for trial in trials]
            running = self.study.others_running()
            if not running:
                return []
            if not announced:
                announce(f"waiting for {running} trials of other workers")
            announced = True
            time.sleep(min(WAIT, self.study.search.beat_seconds))

    def _begin(self, trial: Trial) -> Run:
        """Assigns a trial its folder; a repeated trial keeps its folder, so its run resumes."""
        swept = self.study.overrides(trial)
        path = self.record.path / job_folder(trial.number, self.study.described(trial))
        path = self._former_folder(trial) or path
        trial.set_user_attr(FOLDER, str(path))
        inside = path.parent == self.record.path
        job = Job(trial.number, swept, path.name if inside else str(path), "running")
        self.record.jobs = [j for j in self.record.jobs if j.folder != job.folder] + [job]
        self.record.write()
        announce(self._progress(trial.number, self.study.described(trial)))
        return Run(trial, job, [*self.fixed, *swept, *self._address(trial, path)])

    def _former_folder(self, trial: Trial) -> Path | None:
        """Returns the run folder of the trial being repeated, even if the search was moved."""
        stored = trial.user_attrs.get(FOLDER)
        if stored is None:
            return None
        for folder in (Path(str(stored)), self.record.path / Path(str(stored)).name):
            if (folder / "composed.yaml").is_file() and not is_locked(folder):
                return folder
        return None

    def _address(self, trial: Trial, path: Path) -> list[str]:
        """Returns the overrides that set a run's folder, trial, study and storage."""
        overrides = [f"run_dir={quoted(path)}", f"tune.trial={trial.number}"]
        overrides.append(f"tune.study={quoted(self.study.study.study_name)}")
        if self.study.storage.file is not None:  # a server's address is in the configuration
            overrides.append(f"tune.storage={quoted(self.study.storage.file)}")
        return overrides

    def _run(self, runs: list[Run]) -> None:
        try:
            with contextlib.ExitStack() as stack:
                for run in runs:
                    stack.enter_context(self.study.storage.beating(run.trial._trial_id))
                errors = self._launched(runs)
        except (KeyboardInterrupt, SystemExit):
            for run in runs:
                self.study.abandon(run.trial, "interrupted")
                run.job.status, run.job.error = "interrupted", None
            raise
        for run, error in zip(runs, errors, strict=True):
            self._settle(run, error)

    def _launched(self, runs: list[Run]) -> list[BaseException | str | None]:
        """Runs trials; returns the error of each, None if there was none."""
        if self.apart is not None:
            codes = [self.apart(run.overrides) for run in runs]
            return [f"its process ended with exit code {code}" if code else None for code in codes]
        try:
            results = self.launch([run.overrides for run in runs], runs[0].trial.number)
        except Exception as error:  # a job process was killed: outcome() reads the run folders
            return [error] * len(runs)
        done = JobStatus.COMPLETED
        return [None if result.status == done else result._return_value for result in results]

    def _settle(self, run: Run, error: BaseException | str | None) -> None:
        try:
            if isinstance(error, ObjectiveError):
                raise error
            ended = outcome(self.study.search, Path(run.trial.user_attrs[FOLDER]), error)
        except ObjectiveError as fault:
            self._end_trial(run, Outcome("failed", [], str(fault)))
            raise
        self._end_trial(run, ended)

    def _end_trial(self, run: Run, ended: Outcome) -> None:
        if ended.kind == "completed":
            self.study.complete(run.trial, ended.values)
        else:
            self.study.stop(run.trial, ended.kind, ended.reason)
        run.job.status, run.job.error = ended.kind, ended.reason or None
        self.record.write()
        if ended.reason:
            announce(f"trial {run.trial.number} {ended.kind}: {ended.reason}")

    def _progress(self, number: int, swept: list[str]) -> str:
        """Returns ``trial 3 (4 of 20) · loss=hinge lr=1e-4 · best fid 12.3 in trial 1``."""
        count = self.study.count_up_to(number)
        parts = [f"trial {number} ({count} of {self.study.limit})", " ".join(swept)]
        if (best := self.study.best()) is not None:
            name = published(self.study)[0]
            parts.append(f"best {name} {best.values[0]:.4g} in trial {best.number}")
        return " · ".join(parts)

    def _finish(self, status: str) -> None:
        self.record.status = status
        self.record.write()


def outcome(search: Search, folder: Path, error: BaseException | str | None) -> Outcome:
    """Returns the outcome of a trial.

    Args:
        search: settings of the search.
        folder: the trial's run folder, which may not exist.
        error: error from the launcher; None if there was none.

    Raises:
        ObjectiveError: if the run does not measure an objective; then no trial will.
    """
    summary = RunFolder(folder).read_summary()
    if summary.get("status") == "completed":
        objectives = search.objectives.items()
        values = [value_of(summary, name, direction, search.best) for name, direction in objectives]
        missing = [name for name, v in zip(search.objectives, values, strict=True) if v is None]
        if missing:
            return Outcome("pruned", [], f"{', '.join(missing)} is not finite")
        return Outcome("completed", [value for value in values if value is not None])
    kind = type(error).__name__ if isinstance(error, BaseException) else ""
    kind = kind if kind in PRUNING_ERRORS else str(summary.get("error_kind", kind))
    reason = str(summary.get("error") or error or f"no {folder / 'summary.json'} was written")
    if isinstance(error, BaseException) and not summary.get("error"):
        reason = f"{type(error).__name__}: {error}"
    return Outcome("pruned" if kind in PRUNING_ERRORS else "failed", [], reason.splitlines()[0])
