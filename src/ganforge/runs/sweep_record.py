from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ganforge import atomic
from ganforge.config.former_names import present_override
from ganforge.config.job_names import FILE
from ganforge.errors import RunError
from ganforge.regular_files import read_json
from ganforge.runs.folder import RunFolder

Status = Literal["pending", "running", "completed", "failed", "interrupted", "skipped", "pruned"]
Kind = Literal["grid", "search"]


@dataclass
class Job:
    """A run of a sweep.

    Attributes:
        number: index of the job, from 0.
        overrides: the overrides that differ between jobs, such as ``["loss=hinge", "seed=1"]``.
        folder: name of its run folder, in the sweep's folder.
        status: status as recorded by the sweep; the summary in the run folder takes precedence.
        error: first line of the error that ended it; None if there was none.
    """

    number: int
    overrides: list[str]
    folder: str
    status: Status = "pending"
    error: str | None = None

    def __str__(self) -> str:
        return f"job {self.number} ({' '.join(self.overrides) or 'as typed'})"


@dataclass
class SweepRecord:
    """The definition and progress of a sweep, stored as sweep.json in its folder.

    Attributes:
        path: the sweep's folder.
        kind: "grid" or "search".
        command: the command line that started it.
        overrides: the typed overrides, without those about starting it (resume=...).
        started: start time, in ISO 8601.
        status: running, completed, failed (if a job failed) or interrupted.
        jobs: jobs by number. A search appends to them while it runs.
    """

    path: Path
    kind: Kind
    command: str
    overrides: list[str]
    started: str
    status: str = "running"
    jobs: list[Job] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> SweepRecord:
        """Reads the record of a sweep's folder.

        Raises:
            RunError: the record is missing or damaged.
        """
        file = path / FILE
        try:
            stored = read_json(file)
            jobs = [Job(**job) for job in stored.pop("jobs")]
            record = cls(path, jobs=jobs, **stored)
            record._check()
            record._use_present_names()
            return record
        except FileNotFoundError:
            raise RunError(f"{path}: not a sweep's folder: it has no {FILE}") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RunError(f"{file}: cannot be read ({error})") from error

    def _check(self) -> None:
        """Raises ValueError if a value has a wrong type, or a job's folder is outside the sweep."""
        texts = [self.kind, self.command, self.started, self.status, *self.overrides]
        if self.kind == "grid" and [job.number for job in self.jobs] != [*range(len(self.jobs))]:
            raise ValueError("its jobs are not numbered 0, 1, 2 ...")
        for job in self.jobs:
            texts += [job.folder, job.status, *job.overrides]
            texts += [] if job.error is None else [job.error]
            if Path(job.folder).name != job.folder or not isinstance(job.number, int):
                raise ValueError(f"job {job.number!r} in {job.folder!r}")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("values of another type")

    def _use_present_names(self) -> None:
        self.overrides = [present_override(one) for one in self.overrides]
        for job in self.jobs:
            job.overrides = [present_override(one) for one in job.overrides]

    def write(self) -> None:
        """Writes sweep.json atomically: readers see the old or the new file."""
        known = asdict(self)
        del known["path"]
        atomic.write(self.path / FILE, json.dumps(known, indent=2).encode())

    def run(self, job: Job) -> RunFolder:
        """Returns a job's run folder, which need not exist yet."""
        return RunFolder(self.path / job.folder)

    def summary(self, job: Job) -> dict[str, Any]:
        """Returns a job's summary.json; empty if there is none."""
        return self.run(job).read_summary()

    def status_of(self, job: Job) -> str:
        """Returns a job's status from its summary, or from this record if there is no summary.

        The summary of a killed job still says "running".
        """
        return str(self.summary(job).get("status", job.status))

    def unfinished(self) -> list[Job]:
        """Returns the jobs that are not completed: killed, interrupted, failed or never started."""
        return [job for job in self.jobs if self.status_of(job) != "completed"]


def find_sweeps(log_dir: Path) -> list[SweepRecord]:
    """Returns the sweeps in ``<log_dir>/multirun/<date>/<time>/``, newest first."""
    records = []
    for file in sorted((log_dir / "multirun").glob(f"*/*/{FILE}"), reverse=True):
        try:
            records.append(SweepRecord.read(file.parent.resolve()))
        except RunError:  # a damaged record must not hide the other sweeps
            continue
    return records


def named_job(folder: Path) -> str:
    """Returns the name of a run folder's job for messages, such as "job 0 (loss=hinge seed=1)"."""
    try:
        jobs = SweepRecord.read(folder.parent).jobs
    except RunError:  # dry runs write no record
        jobs = []
    found = [job for job in jobs if job.folder == folder.name]
    return str(found[0]) if found else f"job {folder.name}"
