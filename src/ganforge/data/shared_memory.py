"""Room for the batches that loader workers hand over: Docker gives /dev/shm 64 MB by default."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger("ganforge")

FOLDER = Path("/dev/shm")  # of Linux; other systems bound shared memory otherwise
PREFETCH = 2  # batches that each worker of torch's loader makes ahead
USABLE = 0.8  # share of what is free: pages are rounded up, and others use it too


def free_bytes(folder: Path = FOLDER) -> int | None:
    """Returns the free shared memory; None where the system does not say."""
    try:
        status = os.statvfs(folder)
    except (OSError, AttributeError):  # AttributeError: Windows
        return None
    return status.f_bavail * status.f_frsize


def fitting_workers(workers: int, batch_bytes: int, free: int | None, processes: int = 1) -> int:
    """Returns how many of ``workers`` have room for their batches.

    Without room, a worker prints an error and its batch never arrives: training would wait forever.

    Args:
        workers: loader processes that are wanted for each training process.
        batch_bytes: size of one batch.
        free: bytes of free shared memory; None for no known bound.
        processes: training processes that share it.

    Returns:
        0 where not even one has room: batches are then made by the training process.
    """
    if free is None or batch_bytes == 0:
        return workers
    # One more batch than is made ahead: the one that training uses.
    room = int(free * USABLE) // processes // batch_bytes - 1
    return max(0, min(workers, room // PREFETCH))


def checked_workers(workers: int, batch_bytes: int, processes: int = 1) -> int:
    """Returns the workers that have room, and says so where they are fewer than ``workers``."""
    free = free_bytes()
    fitting = fitting_workers(workers, batch_bytes, free, processes)
    if fitting < workers:
        needed = (PREFETCH * workers + 1) * batch_bytes * processes
        log.warning(
            "%s has %.0f MB free, and data.workers=%d with batches of %.0f MB needs %.0f MB: %s. "
            "Results are the same, reading is slower. In Docker, give it more by "
            "--shm-size=1g or --ipc=host.",
            FOLDER,
            (free or 0) / 1e6,
            workers,
            batch_bytes / 1e6,
            needed / USABLE / 1e6,
            _count(fitting),
        )
    return fitting


def _count(workers: int) -> str:
    return "1 worker is used" if workers == 1 else f"{workers or 'no'} workers are used"
