"""The CPU cores that this process may use, and how many of them other processes keep busy."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ganforge.cores import quotas

CORES_VARIABLE = "GANFORGE_CORES"  # set by a sweep for its jobs: the cores that each may use
SHORTEST = 0.2  # seconds between two readings that say anything about the load
LONGEST = 60.0  # seconds after which a reading says nothing about the present load


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
        cores.add("".join(_lines(file)) or str(cpu))
    return max(1, len(cores))


@dataclass(frozen=True)
class Reading:
    """CPU time used up to now.

    Attributes:
        at: time of the reading, in seconds of a monotonic clock.
        busy: CPU seconds of all processes on the CPUs that this process may use.
        own: CPU seconds of this process and its children.
    """

    at: float
    busy: float
    own: float

    @classmethod
    def take(cls) -> Reading | None:
        """Reads ``/proc``; returns None where there is none (macOS, Windows)."""
        busy = _busy_seconds()
        return None if busy is None else cls(time.monotonic(), busy, _own_seconds(os.getpid()))

    def others_until(self, later: Reading) -> float:
        """Returns the mean number of cores that other processes have used between two readings."""
        seconds = later.at - self.at
        used = (later.busy - self.busy) - (later.own - self.own)
        return max(0.0, used / seconds) if seconds > 0 else 0.0


class Load:
    """Measures how many cores other processes use, from one call to the next."""

    def __init__(self) -> None:
        self._first: Reading | None = None

    def watch(self) -> None:
        """Takes the first reading, unless there is a recent one."""
        if self._first is None or time.monotonic() - self._first.at > LONGEST:
            self._first = Reading.take()

    def others(self) -> float | None:
        """Returns the mean number of cores that other processes have used since the first reading.

        Returns:
            None if that is unknown: without ``/proc``, or right after the first reading.
        """
        now = Reading.take()
        if self._first is None or now is None or now.at - self._first.at < SHORTEST:
            return None
        return self._first.others_until(now)


LOAD = Load()  # of this process, from the start of the command on


def _busy_seconds() -> float | None:
    """Returns the CPU seconds of all processes; time stolen by other virtual machines counts."""
    names = {f"cpu{number}" for number in allowed()}
    ticks = 0
    for line in _lines(Path("/proc/stat")):
        name, *fields = line.split()
        if name in names:  # user nice system idle iowait irq softirq steal
            ticks += sum(int(field) for field in (*fields[:3], *fields[5:8]))
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else None


def _own_seconds(pid: int) -> float:
    """Returns the CPU seconds of a process, its living descendants, and those that have ended."""
    ticks = 0
    for process in (pid, *_descendants(pid)):
        with contextlib.suppress(OSError, IndexError):  # it has just ended
            text = Path(f"/proc/{process}/stat").read_text()
            # The name in parentheses may contain spaces. utime, stime, cutime, cstime
            ticks += sum(int(field) for field in text.rpartition(")")[2].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _descendants(pid: int) -> Iterator[int]:
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in " ".join(_lines(file)).split():
            yield int(child)
            yield from _descendants(int(child))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
