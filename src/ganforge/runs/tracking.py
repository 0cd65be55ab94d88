"""Facts that loggers receive about a run, and callbacks that serve only loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from ganforge.callbacks.alerts import Alerts
from ganforge.callbacks.checkpoints import CheckpointArtifacts
from ganforge.loggers.facts import AlertLogger, CheckpointLogger, ContinuedLogger, FactLogger
from ganforge.runs.provenance import facts_of
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO


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
