"""How many CPU cores other processes keep busy."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ganforge.cores import allowed, lines_of

SHORTEST = 0.2  # seconds between two readings that say anything about the load
LONGEST = 60.0  # seconds after which a reading says nothing about the present load


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
    for line in lines_of(Path("/proc/stat")):
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
        for child in " ".join(lines_of(file)).split():
            yield int(child)
            yield from _descendants(int(child))
