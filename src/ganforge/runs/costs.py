"""Requests that no machine could carry out are refused before anything is built."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ganforge.errors import ConfigError

WORKERS = 8  # loader processes for each processor, at most
GRID_PIXELS = 100_000_000  # of the picture of samples that a run writes
BATCH_BYTES = 64 * 2**30  # of a batch of images as floats
EVALUATED = 10_000_000  # images: their features alone take 80 GB
RESAMPLES = 100_000


def check_costs(cfg: DictConfig) -> None:
    """Refuses a training whose processes, pictures or batches no machine could hold.

    Raises:
        ConfigError: naming the key, what it would take, and what is legal.
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


def check_evaluation_costs(cfg: DictConfig) -> None:
    """Refuses an evaluation of more images than features could be held of."""
    for key, most in (("n", EVALUATED), ("n_real", EVALUATED), ("bootstrap", RESAMPLES)):
        if (value := _number(cfg, key)) > most:
            raise ConfigError(f"{key}={value:,}: at most {most:,}, all of which are held in memory")


def _number(cfg: DictConfig, key: str) -> int:
    """Returns a whole number of a configuration, 0 for what is none."""
    found: Any = OmegaConf.select(cfg, key)
    return found if isinstance(found, int) else 0
