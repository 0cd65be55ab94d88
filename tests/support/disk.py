from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

from lightning.pytorch import Callback


def limit(size: int) -> None:
    """Limits files of this process to ``size`` bytes: longer writes fail as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextlib.contextmanager
def full(size: int = 100) -> Iterator[None]:
    """Limits files to ``size`` bytes within the block."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit(size)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


class FullAt(Callback):
    """Simulates a full disk once during a run.

    Args:
        step: number of generator updates before; -1: at the end of training.
        size: maximum bytes of a file.
    """

    def __init__(self, step: int, size: int) -> None:
        self.step = step
        self.size = size

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if pl_module.iteration == self.step:
            limit(self.size)

    def on_train_end(self, trainer, pl_module) -> None:
        if self.step < 0:
            limit(self.size)
