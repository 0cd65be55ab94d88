from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.profilers import PassThroughProfiler

from ganforge.compute.hardware import Hardware
from ganforge.compute.launch import find_launch
from ganforge.errors import ConfigError
from ganforge.runs.build import Parts
from ganforge.runs.replicas import Replicas, leave_signals_alone
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO

NOT_APPLICABLE = (
    ".*does not have many workers.*",  # images are held in memory
    ".*in eval mode at the start of training.*",  # the moving average, intentionally
    ".*has no `__len__`.*",  # the stream of images is infinite
    ".*torchdata.*StatefulDataLoader.*",  # the position follows from the number of images seen
    ".*resuming from a checkpoint that ended before the epoch.*",
    ".*LeafSpec.*",  # caused inside Lightning
    ".*srun.*",
    ".*Please set the environment variable.*",
)

_NO_CONTEXT = contextlib.nullcontext()


def make_trainer(
    parts: Parts, loggers: list[Logger] | None, callbacks: list[Callback], root: Path
) -> Trainer:
    """Returns the Lightning trainer of a run; with ``loggers=None``, it logs nothing.

    Checkpoints, progress bar and data sharding are ganforge's own, so Lightning's are disabled.
    """
    settings, hardware = parts.settings, parts.hardware
    mixed = hardware.precision != "32-true"
    plugins: list[Any] = [AtomicCheckpointIO()]
    if hardware.processes == 1:
        plugins.append(LightningEnvironment())  # else Lightning detects SLURM by its variables
    if mixed:
        plugins.append(_mixed_precision(hardware))
    trainer = Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=_strategy(hardware),
        precision=None if mixed else "32-true",
        plugins=plugins,
        max_steps=settings.max_steps,
        max_epochs=-1,
        logger=loggers or False,
        callbacks=callbacks,
        default_root_dir=root,
        log_every_n_steps=settings.log_every_n_steps,
        deterministic=settings.deterministic,
        # Shapes are fixed, so cuDNN's fastest algorithms are found once; they may differ by run.
        benchmark=hardware.accelerator == "cuda" and not settings.deterministic,
        profiler=settings.profiler or Unprofiled(),
        detect_anomaly=settings.detect_anomaly,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    leave_signals_alone(trainer)
    return trainer


def _strategy(hardware: Hardware) -> Any:
    if hardware.processes == 1:
        return "auto"
    backend = "nccl" if hardware.accelerator == "cuda" else "gloo"
    return Replicas(cluster_environment=RunProcesses(), process_group_backend=backend)


def _mixed_precision(hardware: Hardware) -> MixedPrecision:
    device = hardware.accelerator
    scaled = hardware.precision == "16-mixed"
    scaler = torch.amp.GradScaler(device) if scaled else None
    return MixedPrecision(cast(Any, hardware.precision), device, scaler)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppresses Lightning warnings that do not apply to this kind of training."""
    with warnings.catch_warnings():
        for message in NOT_APPLICABLE:
            warnings.filterwarnings("ignore", message=message)
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        yield


class Unprofiled(PassThroughProfiler):
    """Measures nothing. Lightning's own makes a generator for each hook of each callback."""

    def profile(self, action_name: str) -> Any:
        """Returns a context that does nothing."""
        return _NO_CONTEXT


class RunProcesses(ClusterEnvironment):
    """Cluster environment whose ranks and world size are fixed before training starts.

    Replaces Lightning's SLURM environment, which rejects one task per node and requeues jobs
    automatically.
    """

    def __init__(self) -> None:
        super().__init__()
        launch = find_launch()
        if launch is None:
            raise ConfigError("this run needs several processes, but this one was started alone")
        self.launch = launch

    @property
    def creates_processes_externally(self) -> bool:
        """Always True: all processes are already running."""
        return True

    @property
    def main_address(self) -> str:
        """Address of rank 0."""
        return self.launch.address

    @property
    def main_port(self) -> int:
        """Port of rank 0."""
        return self.launch.port

    @staticmethod
    def detect() -> bool:
        """Whether this process is one of several."""
        return find_launch() is not None

    def world_size(self) -> int:
        """Number of processes of the run."""
        return self.launch.size

    def set_world_size(self, size: int) -> None:
        """Does nothing: the world size is fixed."""

    def global_rank(self) -> int:
        """Rank of this process among all processes."""
        return self.launch.rank

    def set_global_rank(self, rank: int) -> None:
        """Does nothing: the rank is fixed."""

    def local_rank(self) -> int:
        """Rank of this process on its node."""
        return self.launch.local

    def node_rank(self) -> int:
        """Rank of this node."""
        return self.launch.node
