from __future__ import annotations

import logging
from collections.abc import Sequence

from omegaconf import OmegaConf

from ganforge.loggers.wandb.access import first_line
from ganforge.loggers.wandb.logger import finish
from ganforge.loggers.wandb.service import CALL_SECONDS, bounded
from ganforge.metrics.evaluate import Result, points_of
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import build, read_config
from ganforge.runs.sweep_folder import group_of

log = logging.getLogger("ganforge")


def log_to_wandb(
    folder: RunFolder,
    results: dict[str, Result],
    step: int,
    images: int,
    trust: Sequence[str] = (),
) -> None:
    """Logs results to the run's own entry in Weights & Biases, as ``evaluate/...``.

    The prefix keeps them apart from the values logged in training, whose protocol differs. A run
    recorded offline gets another part with the same ID, for ``ganforge sync``. Runs that were never
    logged to Weights & Biases are skipped. A failure is logged as a warning.

    Args:
        folder: folder of the run.
        results: results by published name.
        step: generator updates of the evaluated weights.
        images: real images seen by these weights in training.
        trust: user packages that the run's configuration may import.
    """
    node = OmegaConf.select(read_config(folder, trust), "logger.wandb")
    if node is None or not (folder.path / "wandb" / "run_id").is_file():
        return
    try:
        # The stored folder may be outdated: the run can have been moved.
        own = {"folder": str(folder.path), "group": node.get("group") or group_of(folder.path)}
        run = build({**node, **own}).open()
        point = _points(results) | {"step": step, "images_seen": images}
        bounded(lambda: run.log(point), CALL_SECONDS, "W&B: results")
    except Exception as error:  # wandb missing, server down, disk full, no permission ...
        log.warning("W&B DID NOT TAKE THESE RESULTS: %s", first_line(error))
    finish()


def _points(results: dict[str, Result]) -> dict[str, object]:
    points: dict[str, object] = dict(points_of(results))
    for name, result in results.items():
        if result.bootstrap:
            points |= {f"{name}_low": result.low, f"{name}_high": result.high}
    return {f"evaluate/{name}": value for name, value in points.items()}
