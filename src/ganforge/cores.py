"""The processor cores that this process may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CORES_VARIABLE = "GANFORGE_CORES"  # set by a sweep for its jobs: the cores that each may use


@dataclass(frozen=True)
class Cores:
    """The cores that this process may use.

    Attributes:
        count: number of cores, at least 1.
        limit: what limits them: "cores", "CPU affinity", "CPU quota", "SLURM_CPUS_PER_TASK", or
            "share of the sweep".
    """

    count: int
    limit: str

    @classmethod
    def find(cls, variables: Mapping[str, str] | None = None, root: Path = Path("/")) -> Cores:
        """Returns the cores after affinity, control group (v1 and v2), SLURM and sweep.

        Two hardware threads of one core count as one: they share its arithmetic units.

        Args:
            variables: environment variables; those of this process by default.
            root: where ``/proc`` and ``/sys`` are.
        """
        variables = os.environ if variables is None else variables
        present, usable = os.cpu_count() or 1, allowed()
        kind = "CPU affinity" if len(usable) < present else "cores"
        limits = [(_physical(usable, root), kind)]
        if (quota := quota_of(root)) is not None:
            limits.append((max(1, int(quota)), "CPU quota"))
        for name, text in (
            ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_PER_TASK"),
            (CORES_VARIABLE, "share of the sweep"),
        ):
            if (number := variables.get(name, "")).isdecimal() and int(number) > 0:
                limits.append((int(number), text))
        return cls(*min(limits, key=lambda one: one[0]))


def allowed() -> set[int]:
    """Returns the numbers of the logical CPUs that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return set(affinity(0)) if affinity is not None else set(range(os.cpu_count() or 1))


def quota_of(root: Path = Path("/")) -> float | None:
    """Returns the CPU quota of this process's control group and those above it, in cores.

    Returns:
        None without a quota, or where there are no control groups.
    """
    groups, membership = root / "sys/fs/cgroup", root / "proc/self/cgroup"
    return min(quotas(groups, membership), default=None)


def _physical(usable: set[int], root: Path) -> int:
    """Returns the number of cores that the logical CPUs belong to."""
    cores = set()
    for cpu in usable:
        file = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        cores.add("".join(lines_of(file)) or str(cpu))
    return max(1, len(cores))


def quotas(root: Path, membership: Path) -> Iterator[float]:
    """Yields the quota, in cores, of each control group that this process belongs to.

    Args:
        root: folder of the control groups.
        membership: file that lists the control groups of this process.
    """
    for line in lines_of(membership):
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


def lines_of(path: Path) -> list[str]:
    """Returns the lines of a small file of the system; none if it cannot be read."""
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
