from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from ganforge import atomic
from ganforge.callbacks.alerts import Alerts
from ganforge.callbacks.checkpoints import CheckpointArtifacts, ConfigInCheckpoint
from ganforge.callbacks.interruption import FolderWatch, Interruption
from ganforge.callbacks.progress import TimeBudget
from ganforge.callbacks.run_summary import RunSummary
from ganforge.compute.backends import backends
from ganforge.compute.crowding import Crowding
from ganforge.compute.hardware import Hardware
from ganforge.compute.launch import find_launch
from ganforge.config.command import Command
from ganforge.cores import CORES_VARIABLE
from ganforge.loggers.facts import AlertLogger, CheckpointLogger, ContinuedLogger, FactLogger
from ganforge.out_of_memory import explaining_memory, forget_peak
from ganforge.runs.build import Parts
from ganforge.runs.load import build
from ganforge.runs.provenance import facts_of
from ganforge.runs.record import made_of, portable
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO
from ganforge.runs.trainer import make_trainer, quiet
from ganforge.search.job import trial_callbacks
from ganforge.sweeps.signals import end_sweep


def fit(
    cfg: DictConfig, parts: Parts, folder: Path, checkpoint: Path | None, command: Command
) -> None:
    """Trains in a run folder, from the start or from a checkpoint."""
    device = torch.device(parts.hardware.accelerator)
    forget_peak(device)
    with (
        backends(parts.hardware, parts.settings.deterministic),
        explaining_memory(device, memory_advice(parts)),
    ):
        _fit(cfg, parts, folder, checkpoint, command)


def memory_advice(parts: Parts) -> str:
    """Returns how many images a training computes at a time, and how to compute fewer."""
    batch, accumulate = parts.data.batch_size, parts.model.accumulate
    share = batch // parts.hardware.processes
    at_once = math.ceil(share / accumulate)
    text = (
        f"data.batch_size={batch} with model.accumulate={accumulate} computes {at_once} "
        f"image{'s' if at_once > 1 else ''} at a time on each device"
    )
    if at_once == 1:
        return f"{text}: make the networks or data.image_size smaller"
    return (
        f"{text}. model.accumulate={min(2 * accumulate, share)} computes fewer for the same "
        "update, in which only BatchNorm sees fewer; or use a smaller data.batch_size"
    )


def _fit(
    cfg: DictConfig, parts: Parts, folder: Path, checkpoint: Path | None, command: Command
) -> None:
    loggers = [cast(Logger, build(node)) for node in cfg.logger.values() if node is not None]
    resolved = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    interruption, seconds = Interruption(), parts.settings.max_seconds
    callbacks = [
        FolderWatch(),
        *parts.callbacks.values(),
        *trial_callbacks(cfg),
        *([TimeBudget(seconds)] if seconds is not None else []),
        *watch_over_cores(parts.hardware),
        ConfigInCheckpoint(made_of(cfg), portable(resolved), parts.data.identity),
        RunSummary(_facts(cfg, parts, folder, command)),
        *watchers(loggers),
        interruption,
    ]
    trainer = make_trainer(parts, loggers, callbacks, folder)
    send_facts(loggers, folder, command.job, resolved, checkpoint)
    failed = True
    try:
        with quiet(), interruption.listening(), atomic.keeping_folder(folder):
            trainer.fit(parts.model, parts.data, ckpt_path=checkpoint)
        failed = False
    finally:
        _finish(failed)
    if interruption.received is not None:  # the signal arrived after the last step
        end_sweep(interruption.received)


def watch_over_cores(hardware: Hardware) -> list[Callback]:
    """Returns the watch over the cores.

    There is none on GPUs, nor where processes of the same command are no children of this one and
    would count as others: the other ranks of a launcher, and the other jobs of a sweep.
    """
    launch = find_launch()
    own = launch is None or launch.launcher == "ganforge"
    if hardware.accelerator != "cpu" or not own or CORES_VARIABLE in os.environ:
        return []
    return [Crowding(torch.get_num_threads() * hardware.devices, hardware.devices)]


def _facts(cfg: DictConfig, parts: Parts, folder: Path, command: Command) -> dict[str, Any]:
    return {
        "run": folder.name,
        "command": command.line,
        "model": type(parts.model).__name__,
        "data": parts.data.name,
        "class_names": parts.data.class_names,
        "seed": cfg.seed,
        "device": str(parts.hardware),
    }


def _finish(failed: bool) -> None:
    """Closes the W&B run and the process group, which would leak into a sweep's next job."""
    from ganforge.loggers.wandb.logger import finish

    with contextlib.suppress(Exception):
        finish(failed)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def watchers(loggers: list[Logger]) -> list[Callback]:
    """Returns the callbacks that loggers need; they must come after those that write to disk."""
    found: list[Callback] = []
    if any(isinstance(logger, AlertLogger) and logger.alerts for logger in loggers):
        found.append(Alerts())
    if any(isinstance(logger, CheckpointLogger) and logger.checkpoints for logger in loggers):
        found.append(CheckpointArtifacts())
    return found


def send_facts(
    loggers: list[Logger],
    folder: Path,
    job: str | None,
    config: dict[str, Any],
    checkpoint: Path | None,
) -> None:
    """Passes facts, configuration and start step of a run to loggers, before the first point.

    Args:
        loggers: loggers of this process; empty on all ranks but 0.
        folder: the run's folder.
        job: the folder assigned by Hydra's sweeper; None outside of a sweep.
        config: the resolved configuration, as plain containers.
        checkpoint: checkpoint that a resumed run continues from; None for a new run.
    """
    if not loggers:
        return
    if checkpoint is not None:
        _continue(loggers, AtomicCheckpointIO().load_checkpoint(checkpoint)["progress"])
    facts = facts_of(folder, job)
    for logger in loggers:
        if isinstance(logger, FactLogger):
            logger.log_facts(facts)
        logger.log_hyperparams(config)


def _continue(loggers: list[Logger], progress: dict[str, Any]) -> None:
    step, images = progress["iteration"], progress["images_seen"]
    for logger in loggers:
        truncate = getattr(logger, "truncate_after", None)
        if truncate is not None:
            truncate(step)
        if isinstance(logger, ContinuedLogger):
            logger.continue_from(step, images)
