"""Shared memory for the batches of loader workers; Docker limits /dev/shm to 64 MB by default."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger("ganforge")

FOLDER = Path("/dev/shm")  # Linux; other systems limit shared memory in other ways
PREFETCH = 2  # batches that each DataLoader worker prefetches
USABLE = 0.8  # share of the free memory: pages are rounded up, and other processes use it too


def free_bytes(folder: Path = FOLDER) -> int | None:
    """Returns the free shared memory in bytes; None if unknown."""
    try:
        status = os.statvfs(folder)
    except (OSError, AttributeError):  # AttributeError: Windows
        return None
    return status.f_bavail * status.f_frsize


def fitting_workers(workers: int, batch_bytes: int, free: int | None, processes: int = 1) -> int:
    """Returns the number of workers, at most ``workers``, whose batches fit into shared memory.

    If a batch does not fit, its worker prints an error and training waits forever for the batch.

    Args:
        workers: requested loader processes per training process.
        batch_bytes: size of one batch.
        free: bytes of free shared memory; None if the limit is unknown.
        processes: training processes that share it.

    Returns:
        The number of workers; 0 means that the training process makes the batches itself.
    """
    if free is None or batch_bytes == 0:
        return workers
    # In addition to the prefetched batches, training holds one.
    room = int(free * USABLE) // processes // batch_bytes - 1
    return max(0, min(workers, room // PREFETCH))


def checked_workers(workers: int, batch_bytes: int, processes: int = 1) -> int:
    """Returns :func:`fitting_workers` for this machine; warns if it is less than ``workers``."""
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
