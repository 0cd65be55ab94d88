"""Processor cores that this process may use, as limited by affinity and by a container's quota."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores(root: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Returns the number of cores that this process may use at once, at least 1.

    ``os.cpu_count()`` counts all cores of the machine. SLURM and taskset restrict the affinity;
    Docker and Kubernetes restrict the time per period (the quota) of a control group, rounded up
    here to whole cores.

    Args:
        root: folder of the control groups.
        membership: file that lists the control groups of this process.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    limits = [math.ceil(quota) for quota in quotas(root, membership)]
    return max(1, min([cores, *limits]))


def quotas(root: Path, membership: Path) -> Iterator[float]:
    """Yields the quota, in cores, of each control group that this process belongs to.

    Args:
        root: folder of the control groups.
        membership: file that lists the control groups of this process.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "cpu" if controllers else root  # version 1 names controllers, version 2 none
        path = PurePosixPath(group.lstrip("/"))
        # A group is limited by its parents too. In a container, the path may be the host's.
        for parent in (path, *path.parents):
            with contextlib.suppress(OSError, ValueError):
                yield from _quota(top / parent, bool(controllers))


def _quota(group: Path, first_version: bool) -> Iterator[float]:
    if first_version:
        quota = (group / "cpu.cfs_quota_us").read_text()
        period = (group / "cpu.cfs_period_us").read_text()
    else:
        quota, period = (group / "cpu.max").read_text().split()
    if quota != "max" and int(quota) > 0:
        yield int(quota) / int(period)
