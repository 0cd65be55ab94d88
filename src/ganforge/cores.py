"""The processor cores that this process may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

CORES_VARIABLE = "GANFORGE_CORES"  # set by a sweep for its jobs: the cores that each may use
THREADS_VARIABLE = "OMP_NUM_THREADS"  # a number of threads, or a list ("4,2") for nested regions


@dataclass(frozen=True)
class Cores:
    """The cores that this process may use.

    Attributes:
        count: number of cores, at least 1.
        limit: what limits them: "cores", "CPU affinity", "CPU quota", "SLURM_CPUS_PER_TASK", or
            "share of the sweep".
        common: number of cores that others use too; a quota or a share may allow fewer of them at
            a time. None for ``count``.
        each: whether each process of a run has so many for itself; otherwise, they divide them.
    """

    count: int
    limit: str
    common: int | None = field(default=None, compare=False)
    each: bool = field(default=False, compare=False)

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
            if (number := _number(variables, name)) > 0:
                limits.append((number, text))
        count, limit = min(limits, key=lambda one: one[0])
        return cls(count, limit, limits[0][0], _is_for_each(limit, len(usable), variables))

    def left(self, others: float) -> float:
        """Returns how many of the cores are left if other processes use ``others`` cores.

        Load is that of all cores in common. Quotas and shares belong to this process alone: others
        take of them only if they leave fewer.
        """
        return min(self.count, (self.common or self.count) - others)

    def share(self, processes: int = 1, others: float = 0.0) -> int:
        """Returns the cores of each process of a run on this machine, at least 1.

        Args:
            processes: number of these processes.
            others: cores that other processes use.
        """
        return max(1, round(self.left(others)) // (1 if self.each else processes))


@contextlib.contextmanager
def thread_per_core() -> Iterator[ThreadPoolExecutor]:
    """Opens a pool with one thread per core; when the block ends, work not yet begun is dropped.

    After an error or an interruption, only the calls that are running delay the end of the block.
    """
    threads = ThreadPoolExecutor(Cores.find().count)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def typed_threads(variables: Mapping[str, str] | None = None) -> int | None:
    """Returns the number of threads that the user has set in OMP_NUM_THREADS.

    Args:
        variables: environment variables; those of this process by default.

    Returns:
        None without a number, or if a sweep has set it for its job.
    """
    variables = os.environ if variables is None else variables
    first = variables.get(THREADS_VARIABLE, "").partition(",")[0].strip()
    number = int(first) if first.isdecimal() else 0
    return number if number > 0 and CORES_VARIABLE not in variables else None


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


def _is_for_each(limit: str, cpus: int, variables: Mapping[str, str]) -> bool:
    """Whether a limit is that of one process: in a sweep, and for tasks that srun started.

    Args:
        limit: what limits the cores.
        cpus: number of logical CPUs that this process may run on.
        variables: environment variables of this process.
    """
    if limit == "share of the sweep":
        return True
    tasks = _number(variables, "SLURM_STEP_NUM_TASKS")
    tasks //= _number(variables, "SLURM_STEP_NUM_NODES") or 1
    if tasks < 2 or _number(variables, "WORLD_SIZE") > 1:  # torchrun's processes share a task
        return False
    if limit == "CPU affinity":  # of the task, not of the whole step
        bound = cpus * tasks <= _number(variables, "SLURM_CPUS_ON_NODE")
        return bound or cpus <= _number(variables, "SLURM_CPUS_PER_TASK")
    return limit == "SLURM_CPUS_PER_TASK"


def _number(variables: Mapping[str, str], name: str) -> int:
    """Returns the number in an environment variable; 0 if there is none."""
    text = variables.get(name, "")
    return int(text) if text.isdecimal() else 0


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
