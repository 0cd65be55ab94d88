"""Limits on workers, pictures and batches, checked before anything is built."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ganforge.config.requests import EvaluateRequest
from ganforge.errors import ConfigError

WORKERS = 8  # maximum number of loader processes per CPU core
GRID_PIXELS = 100_000_000  # maximum size of the sample grid that a run writes
BATCH_BYTES = 64 * 2**30  # maximum size of a batch of float images
EVALUATED = 10_000_000  # maximum number of evaluated images; their features alone take 80 GB
RESAMPLES = 100_000


def check_costs(cfg: DictConfig) -> None:
    """Rejects a training with too many workers, too large a sample grid or too large a batch.

    Raises:
        ConfigError: naming the key, what it would need, and the limit.
    """
    workers, most = _number(cfg, "data.workers"), WORKERS * (os.cpu_count() or 1)
    if workers > most:
        raise ConfigError(
            f"data.workers={workers:,}: starts as many processes; at most {most}, {WORKERS} for "
            "each processor"
        )
    side = max(_number(cfg, "data.image_size"), 1)
    count = _number(cfg, "callbacks.samples.count")
    if count * side**2 > GRID_PIXELS:
        raise ConfigError(
            f"callbacks.samples.count={count:,}: a picture of so many images of {side} pixels is "
            f"too large; at most {max(GRID_PIXELS // side**2, 1):,}"
        )
    batch = _number(cfg, "data.batch_size")
    size = batch * max(_number(cfg, "data.channels"), 1) * side**2 * 4
    if size > BATCH_BYTES:
        raise ConfigError(
            f"data.batch_size={batch:,} and data.image_size={side:,}: a batch alone takes "
            f"{size / 2**30:,.0f} GB; take smaller ones"
        )


def check_evaluation_costs(request: EvaluateRequest) -> None:
    """Rejects an evaluation with more images or bootstrap resamples than fit in memory.

    Raises:
        ConfigError: naming the key and the limit.
    """
    for key, most in (("n", EVALUATED), ("n_real", EVALUATED), ("bootstrap", RESAMPLES)):
        if (value := getattr(request, key) or 0) > most:
            raise ConfigError(f"{key}={value:,}: at most {most:,}, all of which are held in memory")


def _number(cfg: DictConfig, key: str) -> int:
    """Returns an integer of a configuration; 0 if it is missing or not an integer."""
    found: Any = OmegaConf.select(cfg, key)
    return found if isinstance(found, int) else 0
