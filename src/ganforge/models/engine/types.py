"""Types of batches, players and the parts of their updates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from torch import Tensor, nn
from torch.optim import Optimizer

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


def no_schedule(step: int) -> float:
    """Returns the factor 1 at every step: a constant learning rate."""
    return 1.0
