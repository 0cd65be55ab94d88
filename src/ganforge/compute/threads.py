"""The number of CPU threads of a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from ganforge.compute.load import LOAD
from ganforge.cores import CORES_VARIABLE, THREADS_VARIABLE, Cores, typed_threads
from ganforge.errors import ConfigError


@dataclass(frozen=True)
class Threads:
    """The number of CPU threads of each process of a run.

    Attributes:
        count: number of threads.
        reason: why, for the user.
        former: the different number that the run was trained with before, if it resumes.
    """

    count: int
    reason: str
    former: int | None = None

    def __str__(self) -> str:
        return f"{self.count} ({self.reason})"

    @property
    def warning(self) -> str | None:
        """A message if a resumed run has another number of threads than before."""
        if self.former is None:
            return None
        return (
            f"this run was trained with {self.former} threads before, and resumes with "
            f"{self.count} ({self.reason}): sums are rounded differently, so it will not end "
            f"bit-identical to an uninterrupted run. trainer.threads={self.former} sets the number"
        )


def check_threads(wanted: int | str | None) -> None:
    """Raises ConfigError unless ``trainer.threads`` is a number of CPUs, "auto" or None."""
    most = os.cpu_count() or 1
    number = isinstance(wanted, int) and not isinstance(wanted, bool) and 1 <= wanted <= most
    if not number and wanted not in ("auto", None):
        raise ConfigError(
            f"trainer.threads must be a number from 1 to {most}, the CPUs of this machine, or auto "
            f"or null; got {wanted!r}"
        )


def choose_threads(
    wanted: int | str | None,
    processes: int = 1,
    former: int | None = None,
    cores: Cores | None = None,
    others: float | None = None,
    variables: Mapping[str, str] | None = None,
) -> Threads:
    """Returns the number of threads of each process of a run.

    A number that the user has given takes precedence: ``trainer.threads=N``, then the environment
    variable ``OMP_NUM_THREADS``. Otherwise a resumed run keeps its number, because another one
    rounds sums differently; and a new run takes the cores that other processes leave free. Threads
    on busy cores slow a run down out of proportion: at the end of every parallel operation, all
    threads wait for the last one.

    Args:
        wanted: ``trainer.threads``: a number, "auto", or None for PyTorch's own number.
        processes: processes of this run on this machine.
        former: number of threads that a resumed run was trained with; None for a new run.
        cores: the cores of this machine; found by default.
        others: cores that other processes use; measured since the start of the command by default.
        variables: environment variables; those of this process by default.
    """
    variables = os.environ if variables is None else variables
    present = torch.get_num_threads()
    if isinstance(wanted, int):
        return Threads(wanted, "trainer.threads", _unless(former, wanted))
    if wanted is None:
        return Threads(present, "PyTorch's default", _unless(former, present))
    if (given := typed_threads(variables)) is not None:
        count = min(given, present)  # torch.set_num_threads may have lowered it since
        return Threads(count, THREADS_VARIABLE, _unless(former, count))
    cores = Cores.find(variables) if cores is None else cores
    if present < cores.count:
        cores = replace(cores, count=present, limit="torch.get_num_threads()")
    most, why = cores.share(processes), cores.limit
    why = f"{why}, {processes} processes" if processes > 1 and not cores.each else why
    if former is not None and former <= most:
        return Threads(former, "as before")
    if CORES_VARIABLE in variables:  # the sweep has measured the load and divided the cores
        return Threads(most, why, former)
    busy = (LOAD.others() if others is None else others) or 0.0
    if (free := cores.share(processes, busy)) < most:
        why = f"other processes use {busy:.1f} of {cores.common or cores.count} cores"
    return Threads(free, why, former)


@contextlib.contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Sets PyTorch's number of threads of this process inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unless(former: int | None, count: int) -> int | None:
    return None if former == count else former
