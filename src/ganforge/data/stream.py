from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ganforge.cores import Cores
from ganforge.data.order import Deal, as_tensor, uniforms
from ganforge.data.prefetch import copied_ahead
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.streams import Stream, mix

TIMEOUT = 600.0  # seconds without a batch; without it, a lost batch would block training forever
# Docker limits it to 64 MB by default; other systems than Linux limit it in other ways.
SHARED_MEMORY = Path("/dev/shm")
CPU = torch.device("cpu")
MOST_WORKERS = 16  # more occupy memory, and keep up with any GPU only if files are large
_PREFETCH = 2  # batches that each DataLoader worker prefetches
_USABLE = 0.8  # share of the free memory: pages are rounded up, and other processes use it too
_IGNORED = ("SIGINT", "SIGUSR1", "SIGHUP")
_log = logging.getLogger("ganforge")


class Batches(Dataset[dict[str, Tensor]]):
    """Maps positions of the order to a batch, which depends only on the positions and the seed.

    Args:
        source: the images.
        seed: seed of the run.
        mirror: flip each sample horizontally with probability 1/2.
    """

    def __init__(self, source: ImageSource, seed: int, mirror: bool = False) -> None:
        self.source = source
        self.seed = seed
        self.mirror = mirror
        self.order = source.order(seed)

    def __getitem__(self, positions: range) -> dict[str, Tensor]:
        """Returns ``image`` [B, C, H, W] and, for labelled data, ``label`` int64 [B]."""
        indices = self.order.indices(positions)
        images, labels = self.source.read_labelled(indices)
        if self.mirror:
            images = mirrored(images, self.seed, positions)
        batch = {"image": images}
        if labels is not None:
            batch["label"] = labels
        return batch


def mirrored(images: Tensor, seed: int, positions: range) -> Tensor:
    """Returns [B, C, H, W], each image flipped horizontally with probability 1/2.

    The flip is a function of (seed, position).
    """
    flipped = uniforms(mix(seed, Stream.MIRROR), as_tensor(positions)) < 0.5
    flipped = flipped.to(images.device, non_blocking=True)
    return torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)


class TrainingStream:
    """An endless iterable of training batches, the same with any number of workers.

    Args:
        batches: returns the batch at given positions.
        deal: the positions of each training step.
        workers: processes that prefetch batches. With 0, the training process makes them, which
            is fastest for images in memory.
        device: device of the model. Batches for a CUDA device are copied there a step ahead.
    """

    def __init__(
        self,
        batches: Dataset[dict[str, Tensor]],
        deal: Deal,
        workers: int = 0,
        device: torch.device = CPU,
    ) -> None:
        self.batches = batches
        self.deal = deal
        self.workers = workers
        self.device = device
        self._fitting: int | None = None

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yields the batch of each training step, starting at the current progress."""
        if self._fitting is None:  # Lightning iterates twice: check the workers once
            self._fitting = self._workers_with_room() if self.workers else 0
        if self._fitting == 0:
            made = (self.batches[positions] for positions in self.deal)
            return copied_ahead(made, self.device)
        return copied_ahead(self._from_workers(self._fitting), self.device)

    def _workers_with_room(self) -> int:
        positions = next(iter(self.deal))
        one = self.batches[positions[:1]]
        size = len(positions) * sum(value.nbytes for value in one.values())
        return checked_workers(self.workers, size, positions.step)

    def _from_workers(self, workers: int) -> Iterator[dict[str, Tensor]]:
        loader = DataLoader(
            self.batches,
            batch_size=None,
            sampler=self.deal,
            num_workers=workers,
            prefetch_factor=_PREFETCH,
            timeout=TIMEOUT,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=leave_signals_to_parent,
            # Otherwise DataLoader draws the workers' base seed from the global generator.
            generator=torch.Generator(),
        )
        try:
            yield from loader
        except DataError as error:
            raise type(error)(_own_message(error)) from error


def _own_message(error: Exception) -> str:
    """Returns the message of a worker's exception without the traceback that DataLoader adds."""
    name = rf"^(?:\w+\.)*{type(error).__name__}: "
    return re.split(name, str(error), flags=re.MULTILINE)[-1].strip()


def workers_for_files(ranks: int) -> int:
    """Returns the loader processes of each of the ``ranks`` processes that share this machine."""
    return min(MOST_WORKERS, Cores.find().share(ranks))


def leave_signals_to_parent(worker: int = 0) -> None:
    """Makes a loader worker ignore the signals that stop a run, so that the last step can finish.

    Terminals and schedulers send them to all processes of a run, and a step cannot finish without
    its workers. SIGTERM is obeyed only if the parent sent it, which is how DataLoader ends
    workers. If the parent dies, torch's workers detect it themselves.

    Args:
        worker: worker index, passed by DataLoader; unused.
    """
    for name in _IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # sigwaitinfo reports the sender of a signal; macOS does not have it.
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def free_bytes(folder: Path = SHARED_MEMORY) -> int | None:
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
    room = int(free * _USABLE) // processes // batch_bytes - 1
    return max(0, min(workers, room // _PREFETCH))


def checked_workers(workers: int, batch_bytes: int, processes: int = 1) -> int:
    """Returns :func:`fitting_workers` for this machine; warns if it is less than ``workers``."""
    free = free_bytes()
    fitting = fitting_workers(workers, batch_bytes, free, processes)
    if fitting < workers:
        needed = (_PREFETCH * workers + 1) * batch_bytes * processes
        _log.warning(
            "%s has %.0f MB free, but data.workers=%d with batches of %.0f MB needs %.0f MB: %s. "
            "Results are the same, but reading is slower. In Docker, increase it with "
            "--shm-size=1g or --ipc=host.",
            SHARED_MEMORY,
            (free or 0) / 1e6,
            workers,
            batch_bytes / 1e6,
            needed / _USABLE / 1e6,
            "using 1 worker" if fitting == 1 else f"using {fitting or 'no'} workers",
        )
    return fitting
