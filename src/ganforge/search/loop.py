"""Running a search: trials are asked for, trained and told of until their number is reached."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus

from ganforge.config.job_names import job_folder
from ganforge.config.quoting import quoted
from ganforge.console import console
from ganforge.errors import GanforgeError, RunError
from ganforge.runs.lock import is_locked
from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.search.objectives import ObjectiveError
from ganforge.search.results import Outcome, outcome
from ganforge.search.study import FOLDER, SharedStudy
from ganforge.sweeps.signals import ending_on_signals

if TYPE_CHECKING:
    from optuna.trial import Trial

Launch = Callable[[list[list[str]], int], Sequence[JobReturn]]
Apart = Callable[[list[str]], int]
WAIT = 5.0  # seconds between looks at the trials of other workers, at most


@dataclass
class Run:
    """A trial under way.

    Attributes:
        trial: of the study.
        job: its entry in the sweep's record.
        overrides: of its run.
    """

    trial: Trial
    job: Job
    overrides: list[str]


class Searching:
    """Runs the trials of a worker.

    Args:
        study: hands out trials.
        record: of this worker's folder.
        fixed: overrides of every trial.
        launch: hands jobs to Hydra's launcher, from a number on.
        apart: trains in a process of its own; None where the launcher takes every trial.
    """

    def __init__(
        self,
        study: SharedStudy,
        record: SweepRecord,
        fixed: list[str],
        launch: Launch,
        apart: Apart | None = None,
    ) -> None:
        self.study = study
        self.record = record
        self.fixed = fixed
        self.launch = launch
        self.apart = apart

    def run(self) -> None:
        """Runs trials until none is left, of other workers either.

        Raises:
            ObjectiveError: the runs have no such number.
            KeyboardInterrupt: where the search was told to stop.
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
        """Asks for trials; waits for those of other workers, one of which may be killed yet."""
        told = False
        while True:
            trials: list[Trial] = []
            while len(trials) < self.study.search.n_jobs and (trial := self.study.ask()):
                trials.append(trial)
            if trials:
                return [self._begin(trial) for trial in trials]
            running = self.study.others_running()
            if not running:
                return []
            if not told:
                self._say(f"waiting for {running} trials of other workers")
            told = True
            time.sleep(min(WAIT, self.study.search.beat_seconds))

    def _begin(self, trial: Trial) -> Run:
        """Gives a trial its folder: that of the trial which it repeats, where there is one."""
        swept = self.study.overrides(trial)
        path = self.record.path / job_folder(trial.number, self.study.shown(trial))
        path = self._former(trial) or path
        trial.set_user_attr(FOLDER, str(path))
        own = path.parent == self.record.path
        job = Job(trial.number, swept, path.name if own else str(path), "running")
        self.record.jobs = [j for j in self.record.jobs if j.folder != job.folder] + [job]
        self.record.write()
        self._say(self._progress(trial.number, self.study.shown(trial)))
        return Run(trial, job, [*self.fixed, *swept, *self._address(trial, path)])

    def _former(self, trial: Trial) -> Path | None:
        """Returns the run folder of the trial which one repeats, moved with its search or not."""
        told = trial.user_attrs.get(FOLDER)
        if told is None:
            return None
        for folder in (Path(str(told)), self.record.path / Path(str(told)).name):
            if (folder / "composed.yaml").is_file() and not is_locked(folder):
                return folder
        return None

    def _address(self, trial: Trial, path: Path) -> list[str]:
        """Returns the overrides by which a run finds its folder and its trial."""
        words = [f"run_dir={quoted(path)}", f"tune.trial={trial.number}"]
        words.append(f"tune.study={quoted(self.study.study.study_name)}")
        if self.study.storage.file is not None:  # a server's address is in the configuration
            words.append(f"tune.storage={quoted(self.study.storage.file)}")
        return words

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
        """Runs trials; returns what ended each."""
        if self.apart is not None:
            codes = [self.apart(run.overrides) for run in runs]
            return [_told(code) for code in codes]
        try:
            found = self.launch([run.overrides for run in runs], runs[0].trial.number)
        except Exception as error:  # a launcher's process was killed: the folders tell of the rest
            return [error] * len(runs)
        done = JobStatus.COMPLETED
        return [None if result.status == done else result._return_value for result in found]

    def _settle(self, run: Run, error: BaseException | str | None) -> None:
        try:
            if isinstance(error, ObjectiveError):
                raise error
            ended = outcome(self.study.search, Path(run.trial.user_attrs[FOLDER]), error)
        except ObjectiveError as fault:
            self._tell(run, Outcome("failed", [], str(fault)))
            raise
        self._tell(run, ended)

    def _tell(self, run: Run, ended: Outcome) -> None:
        if ended.kind == "completed":
            self.study.complete(run.trial, ended.values)
        elif ended.kind == "pruned":
            self.study.prune(run.trial, ended.reason)
        else:
            self.study.fail(run.trial, ended.reason)
        run.job.status, run.job.error = ended.kind, ended.reason or None
        self.record.write()
        if ended.reason:
            self._say(f"trial {run.trial.number} {ended.kind}: {ended.reason}")

    def _progress(self, number: int, swept: list[str]) -> str:
        """Returns ``trial 3 (4 of 20) · loss=hinge lr=1e-4 · fid 12.3 at best, in trial 1``."""
        place = self.study.place(number)
        parts = [f"trial {number} ({place} of {self.study.limit})", " ".join(swept)]
        best, name = self.study.best(), next(iter(self.study.search.objectives))
        if best is not None:
            parts.append(f"{name} {best.values[0]:.4g} at best, in trial {best.number}")
        return " · ".join(parts)

    def _finish(self, status: str) -> None:
        self.record.status = status
        self.record.write()

    def _say(self, line: str) -> None:
        console.print(line, style="bold", soft_wrap=True, highlight=False, markup=False)


def _told(code: int) -> str | None:
    """Returns what an exit code says."""
    return f"its process ended with exit code {code}" if code else None


def nothing_came(record: SweepRecord) -> GanforgeError:
    """Returns the fault of a search without a completed trial."""
    reasons = [job.error for job in record.jobs if job.error]
    more = f": {reasons[0]}" if reasons else ""
    return RunError(f"no trial of {record.path} was completed{more}")
