"""Types of batches, players and the parts of their updates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganforge.data.images import to_float
from ganforge.streams import split_rows

Batch = dict[str, Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
Schedule = Callable[[int], float]
CriticSteps = Callable[[int], int]
Player = Literal["generator", "discriminator"]
Weights = Literal["ema", "raw"]  # the averaged generator or the live one


def split(batch: Batch, parts: int) -> list[Batch]:
    """Splits a batch into ``parts`` batches of consecutive rows, the same rows for every tensor."""
    pieces = {name: split_rows(rows, parts) for name, rows in batch.items()}
    return [{name: rows[i] for name, rows in pieces.items()} for i in range(parts)]


def with_floats(batch: Batch, memory_format: torch.memory_format) -> Batch:
    """Returns a batch with its images as float32 in [-1, 1], in a memory format."""
    images = {name: to_float(batch[name]) for name in ("image", "input") if name in batch}
    for name, pixels in images.items():
        if pixels.ndim == 4:
            images[name] = pixels.contiguous(memory_format=memory_format)
    return batch | images


def no_schedule(step: int) -> float:
    """Returns the factor 1 at every step: a constant learning rate."""
    return 1.0
