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
    """Adds results to the run's own entry in Weights & Biases, as ``evaluate/...``.

    Beside what training logged and not among it: the protocol is another one. A run that was
    recorded offline gets another part of the same id, for ``ganforge sync``. Runs that never were
    in Weights & Biases are left alone, and a failure ends nothing.

    Args:
        folder: of the run.
        results: by published name.
        step: generator updates of the weights that were judged.
        images: images that they have seen.
        trust: packages of the user's own that the run may be made of.
    """
    node = OmegaConf.select(read_config(folder, trust), "logger.wandb")
    if node is None or not (folder.path / "wandb" / "run_id").is_file():
        return
    try:
        # The folder may have moved since.
        own = {"folder": str(folder.path), "group": node.get("group") or group_of(folder.path)}
        run = build({**node, **own}).open()
        point = _points(results) | {"step": step, "images_seen": images}
        bounded(lambda: run.log(point), CALL_SECONDS, "W&B: results")
    except Exception as error:  # no wandb, no server, no room, another's folder ...
        log.warning("W&B DID NOT TAKE THESE RESULTS: %s", first_line(error))
    finish()


def _points(results: dict[str, Result]) -> dict[str, object]:
    points: dict[str, object] = dict(points_of(results))
    for name, result in results.items():
        if result.bootstrap:
            points |= {f"{name}_low": result.low, f"{name}_high": result.high}
    return {f"evaluate/{name}": value for name, value in points.items()}
