from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from ganforge.runs.sweep_record import Job, SweepRecord
from ganforge.sweeps.progress import tally

EVERY = 2.0  # seconds between looks at the folders of jobs that run elsewhere
EARLIER = 2.0  # seconds by which clocks of file systems may lag

Note = Callable[[Job, str], None]


def fresh_status(record: SweepRecord, job: Job, began: float) -> str | None:
    """Returns what a job's summary says, None where it has written none since ``began``."""
    try:
        written = record.run(job).summary.stat().st_mtime
    except OSError:
        return None
    if written < began - EARLIER:  # of an earlier attempt
        return None
    status = record.summary(job).get("status")
    return None if status is None else str(status)


@contextlib.contextmanager
def watching(
    record: SweepRecord, jobs: list[Job], began: float, note: Note, say: Callable[[str], None]
) -> Iterator[None]:
    """Follows jobs that run in other processes, or on other machines, by their folders.

    Args:
        record: their sweep.
        jobs: those that were handed over.
        began: when, in seconds since the epoch.
        note: keeps a job's new status.
        say: tells the user that one is over.
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
