"""The size of this machine's main memory, and how much of it is available."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def total_memory() -> int | None:
    """Returns the bytes of main memory; None on systems that do not report it (Windows)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def free_memory() -> int | None:
    """Returns the bytes of main memory that can still be allocated; None if unknown.

    Reclaimable file caches count as available, and a container has no more than below its limit.
    """
    known = [free for free in (_free_in_system(), _free_in_group()) if free is not None]
    return max(min(known), 0) if known else None


def _free_in_system() -> int | None:
    """Returns the available memory of the system in bytes, including reclaimable file caches."""
    try:
        lines = dict(line.split(":") for line in _MEMINFO.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    total = total_memory()  # macOS only reports the total; assume that half of it is free
    return None if total is None else total // 2


def _free_in_group() -> int | None:
    """Returns the bytes left below a container's limit (cgroups v2); None without a limit."""
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # ValueError for "max": no limit
        used = int((_CGROUP / "memory.current").read_text())
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
        files = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    except (OSError, ValueError, StopIteration):
        return None
    return limit - used + files
