"""Notices when other processes take the cores of a run."""

from __future__ import annotations

import logging
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.compute.load import Reading
from ganforge.cores import Cores

log = logging.getLogger("ganforge")

SECONDS = 20.0  # between two readings: shorter bursts of other processes do not matter
WINDOWS = 2  # crowded windows in succession before the warning
MISSING = 0.5  # cores that a run may lack


class Crowding(Callback):
    """Warns once if fewer cores are left to a run on the CPU than it has threads.

    Threads wait for each other at the end of every parallel operation, so that a thread without a
    core stops the others. Costs two file readings every 20 seconds, at logged steps.

    Args:
        threads: threads of all processes of the run on this machine.
        processes: number of these processes.
    """

    def __init__(self, threads: int, processes: int = 1) -> None:
        self.threads = threads
        self.processes = processes
        self._before: Reading | None = None
        self._crowded = 0
        self._done = threads <= processes  # one thread each waits for no other

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the first reading."""
        self._before = Reading.take()
        self._done = self._done or self._before is None or not trainer.is_global_zero

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Compares the free cores with the threads, at logged steps."""
        if self._done or trainer.global_step % max(trainer.log_every_n_steps, 1):  # type: ignore[attr-defined]
            return
        now = Reading.take()
        if now is not None and self._before is not None and now.at - self._before.at >= SECONDS:
            self.observe(self._before.others_until(now), Cores.find(), trainer.default_root_dir)
            self._before = now

    def observe(self, others: float, cores: Cores, run: str) -> None:
        """Warns if this is the second window in succession in which cores were missing.

        Args:
            others: cores that other processes have used.
            cores: the cores of this machine.
            run: folder of the run, for the message.
        """
        left = cores.left(others)
        self._crowded = self._crowded + 1 if left < self.threads - MISSING else 0
        if self._crowded < WINDOWS:
            return
        self._done = True
        fitting = max(1, round(left) // self.processes)
        log.warning(
            "the machine is crowded: other processes use %.1f of %d cores, and this run has %d "
            "threads, which wait for each other. It is faster with fewer: stop it with Ctrl-C and "
            "continue with resume=%s trainer.threads=%d",
            others,
            cores.common or cores.count,
            self.threads,
            run,
            fitting,
        )
