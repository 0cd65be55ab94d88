from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

from lightning.pytorch import Callback


def limit(size: int) -> None:
    """Lets no file of this process grow beyond ``size`` bytes: writing fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextlib.contextmanager
def full(size: int = 100) -> Iterator[None]:
    """Fails writes beyond ``size`` bytes a file, for the block."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit(size)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


class FullAt(Callback):
    """Fills the disk once, while a run is on.

    Args:
        step: generator updates made by then; -1 for the end of training.
        size: bytes that a file may still have.
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
