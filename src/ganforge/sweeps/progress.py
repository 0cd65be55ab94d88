"""Progress output of a sweep: a line before each job and a table at the end."""

from __future__ import annotations

from ganforge.compare.cells import Table
from ganforge.console import console
from ganforge.runs.stored.past_summary import best_of
from ganforge.runs.sweep_record import Job, SweepRecord


def announce(line: str) -> None:
    """Prints a line about the progress of a sweep."""
    console.print(line, style="bold", soft_wrap=True)


def progress_line(record: SweepRecord, job: Job, seconds_left: float | None) -> str:
    """Returns ``job 3 of 9 · model=lsgan seed=1 · 2 done, 1 failed · about 4 min left``.

    Args:
        record: the sweep.
        job: the job that starts.
        seconds_left: estimated time until the end of the sweep; None if unknown.
    """
    parts = [f"job {job.number + 1} of {len(record.jobs)}", " ".join(job.overrides)]
    parts.append(tally(record))
    if seconds_left is not None:
        parts.append(f"about {roughly(seconds_left)} left")
    return " · ".join(part for part in parts if part)


def tally(record: SweepRecord) -> str:
    """Returns ``2 done, 1 failed``."""
    states = [job.status for job in record.jobs]
    done, failed = states.count("completed"), states.count("failed")
    return f"{done} done" + (f", {failed} failed" if failed else "")


def roughly(seconds: float) -> str:
    """Returns ``40 s``, ``4 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def job_table(record: SweepRecord) -> Table:
    """Returns a table with a row for each job and the errors of failed jobs."""
    rows = [_row(record, job) for job in record.jobs]
    errors = [f"{job} {job.status}: {job.error}" for job in record.jobs if job.error]
    columns = ["job", "overrides", "status", "best"]
    return Table(f"{len(rows)} jobs: {tally(record)}", columns, rows, errors)


def _row(record: SweepRecord, job: Job) -> list[str]:
    best = best_of(record.summary(job))
    score = f"{best[0]} {best[1]:.4g}" if best else "-"
    return [str(job.number), " ".join(job.overrides), job.status, score]
