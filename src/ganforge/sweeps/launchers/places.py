"""Where the jobs of a sweep run side by side on one machine: GPUs and CPU cores."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Literal

from ganforge.compute.load import LOAD
from ganforge.cores import CORES_VARIABLE, THREADS_VARIABLE, Cores, typed_threads
from ganforge.errors import ConfigError
from ganforge.main_memory import free_memory

VISIBLE = "CUDA_VISIBLE_DEVICES"
JOB_MEMORY = 2 * 1024**3  # bytes of main memory that a job on the CPU is expected to use
# Starting a process takes about 10 s. On two cores, where side by side gains least, a small DCGAN
# sees 1,816 images/s on both cores, and two 1,123 each on one: 10 s are gained in N images with
# 2 N / 1816 - N / 1123 = 10.
WORTH_A_PROCESS = 50_000
Auto = Literal["auto"]


@dataclass(frozen=True)
class Need:
    """What a job needs.

    Attributes:
        accelerator: "cpu", "cuda" or "mps".
        processes: number of processes, one per GPU.
        threads: CPU threads of each process; None if the job takes what it is given.
        images: images of its training; infinite if the time is limited instead.
        timed: whether the time of its training is limited.
    """

    accelerator: str = "cpu"
    processes: int = 1
    threads: int | None = None
    images: float = math.inf
    timed: bool = False

    @property
    def gpus(self) -> int:
        """Number of GPUs that it needs."""
        return self.processes if self.accelerator == "cuda" else 0

    @property
    def cores(self) -> int:
        """Cores that it needs at least."""
        return self.processes * (self.threads or typed_threads() or 1)


@dataclass(frozen=True)
class Place:
    """The part of the machine that one job gets.

    Attributes:
        gpus: identifiers of its GPUs, as in CUDA_VISIBLE_DEVICES.
        variables: environment variables of its process.
    """

    gpus: tuple[str, ...]
    variables: dict[str, str]


@dataclass
class Places:
    """Hands out GPUs and cores to jobs, and takes them back.

    Attributes:
        at_once: number of jobs at the same time.
        gpus: identifiers of the GPUs; None if no GPU is assigned, and every job sees all.
        shared: number of jobs that may share a GPU.
        variables: environment variables of every job.
    """

    at_once: int
    gpus: list[str] | None = None
    shared: int = 1
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._jobs = 0
        self._users = dict.fromkeys(self.gpus or [], 0)

    def take(self, gpus: int) -> Place | None:
        """Returns a place with a number of GPUs; None if a job has to wait.

        The GPUs with the fewest jobs are taken, in their order.
        """
        free = [gpu for gpu, users in self._users.items() if users < self.shared]
        gpus = gpus if self.gpus else 0
        if self._jobs >= self.at_once or len(free) < gpus:
            return None
        chosen = sorted(free, key=lambda gpu: self._users[gpu])[:gpus]
        chosen = [gpu for gpu in self._users if gpu in chosen]
        for gpu in chosen:
            self._users[gpu] += 1
        self._jobs += 1
        visible = {} if self.gpus is None else {VISIBLE: ",".join(chosen)}
        return Place(tuple(chosen), self.variables | visible)

    def give_back(self, place: Place) -> None:
        """Takes back the place of a job that has ended."""
        self._jobs -= 1
        for gpu in place.gpus:
            self._users[gpu] -= 1


def choose_places(
    needs: list[Need],
    jobs: int | Auto = "auto",
    gpus: int | Auto = "auto",
    threads: int | Auto = "auto",
) -> Places:
    """Returns the places for the jobs of a sweep.

    Args:
        needs: what each job needs.
        jobs: number of jobs at the same time; "auto" for one per GPU, or on the CPU as many as
            there are free cores and memory.
        gpus: number of GPUs of this machine to use; "auto" for all.
        threads: CPU threads of each process; "auto" divides the free cores.

    Raises:
        ConfigError: if the machine has fewer GPUs than ``gpus`` or than one job needs.
    """
    found = _gpus_to_use(gpus)
    each = max((need.gpus for need in needs), default=0)
    if found and len(found) < each:
        raise ConfigError(f"a job needs {each} GPUs, and this sweep has {len(found)} of them")
    cores = Cores.find().share(others=LOAD.others() or 0.0)
    count = min(_fitting(needs, found, cores) if jobs == "auto" else int(jobs), len(needs))
    # More jobs than GPUs, as only the user can ask for, share them.
    shared = math.ceil(count * each / len(found)) if found and each and jobs != "auto" else 1
    processes = max(need.processes for need in needs)
    return Places(count, found, max(1, shared), _variables(threads, cores, count * processes))


def pays(places: Places, needs: list[Need]) -> bool:
    """Whether jobs side by side are faster than one after the other in this process.

    Jobs with a time limit run one after the other on the CPU: with fewer cores each, they would see
    fewer images.
    """
    timed = any(need.timed for need in needs) and not places.gpus
    seen = sum(need.images for need in needs) / len(needs)
    return places.at_once > 1 and not timed and seen >= WORTH_A_PROCESS


def visible_gpus() -> list[str]:
    """Returns the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch  # imported late: it takes seconds and is needed only to assign GPUs

    visible = os.environ.get(VISIBLE)
    if visible is None:
        return [str(gpu) for gpu in range(torch.cuda.device_count())]
    found: list[str] = []
    for gpu in map(str.strip, visible.split(",")):
        if not gpu or gpu.startswith("-"):  # CUDA ignores what follows an invalid name
            break
        found.append(gpu)
    return found


def _gpus_to_use(wanted: int | Auto) -> list[str]:
    if wanted == 0:
        return []
    found = visible_gpus()
    if wanted == "auto":
        return found
    if len(found) < wanted:
        raise ConfigError(f"hydra.launcher.gpus={wanted}, but this machine has {len(found)} GPUs")
    return found[:wanted]


def _fitting(needs: list[Need], gpus: list[str], cores: int) -> int:
    """Returns the number of jobs that run at the same time without sharing GPUs or cores."""
    kinds = {need.accelerator for need in needs}
    if "mps" in kinds:
        return 1
    if gpus and "cuda" in kinds:
        return len(gpus)
    fitting = cores // max(need.cores for need in needs)
    memory = free_memory()
    return max(1, fitting if memory is None else min(fitting, memory // JOB_MEMORY))


def _variables(threads: int | Auto, cores: int, processes: int) -> dict[str, str]:
    if threads != "auto":
        return {THREADS_VARIABLE: str(threads)}
    if processes == 1 or typed_threads() is not None:
        return {}
    share = str(max(1, cores // processes))
    return {CORES_VARIABLE: share, THREADS_VARIABLE: share}
