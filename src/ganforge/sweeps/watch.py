from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.sweeps.progress import tally

EVERY = 2.0  # seconds between polls of the run folders
EARLIER = 2.0  # seconds of tolerance for clock skew between file systems

Note = Callable[[Job, str], None]


def fresh_status(record: SweepRecord, job: Job, began: float) -> str | None:
    """Returns the status in a job's summary; None if it was not written since ``began``."""
    try:
        written = record.run(job).summary.stat().st_mtime
    except OSError:
        return None
    if written < began - EARLIER:  # left by an earlier attempt
        return None
    status = record.summary(job).get("status")
    return None if status is None else str(status)


@contextlib.contextmanager
def watching(
    record: SweepRecord, jobs: list[Job], began: float, note: Note, say: Callable[[str], None]
) -> Iterator[None]:
    """Tracks jobs in other processes or on other machines by polling their run folders.

    Args:
        record: the sweep.
        jobs: the launched jobs.
        began: launch time, in seconds since the epoch.
        note: records a job's new status.
        say: prints that a job has ended.
    """
    over = threading.Event()

    def look() -> None:
        for job in jobs:
            status = fresh_status(record, job, began)
            if status is not None and status != job.status:
                note(job, status)
                if status != "running":
                    say(f"{job} {status} · {tally(record)}")

    def watch() -> None:
        while not over.wait(EVERY):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
