from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ganforge.data.order import Deal, Order, as_tensor, uniforms
from ganforge.data.shared_memory import PREFETCH, checked_workers
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.streams import Stream, mix

TIMEOUT = 600.0  # seconds without a batch; without it, a lost batch would block training forever
_IGNORED = ("SIGINT", "SIGUSR1", "SIGHUP")


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
        self.order = Order(len(source), seed)

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
        pin_memory: put workers' batches into page-locked memory, for faster copies to CUDA.
    """

    def __init__(
        self,
        batches: Dataset[dict[str, Tensor]],
        deal: Deal,
        workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.batches = batches
        self.deal = deal
        self.workers = workers
        self.pin_memory = pin_memory
        self._fitting: int | None = None

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yields the batch of each training step, starting at the current progress."""
        if self._fitting is None:  # Lightning iterates twice: check the workers once
            self._fitting = self._workers_with_room() if self.workers else 0
        if self._fitting == 0:
            return (self.batches[positions] for positions in self.deal)
        return self._from_workers(self._fitting)

    def _workers_with_room(self) -> int:
        positions = next(iter(self.deal))
        one = self.batches[positions[:1]]
        size = len(positions) * sum(value.nbytes for value in one.values())
        return checked_workers(self.workers, size, positions.step)

    def _from_workers(self, workers: int) -> Iterator[dict[str, Tensor]]:
        try:
            yield from self._loader(workers)
        except DataError as error:
            # DataLoader prepends the worker's traceback to the message.
            raise DataError(str(error).rpartition("DataError: ")[2].strip()) from error

    def _loader(self, workers: int) -> DataLoader[dict[str, Tensor]]:
        return DataLoader(
            self.batches,
            batch_size=None,
            sampler=self.deal,
            num_workers=workers,
            prefetch_factor=PREFETCH,
            timeout=TIMEOUT,
            pin_memory=self.pin_memory,
            worker_init_fn=leave_signals_to_parent,
            # Otherwise DataLoader draws the workers' base seed from the global generator.
            generator=torch.Generator(),
        )


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
