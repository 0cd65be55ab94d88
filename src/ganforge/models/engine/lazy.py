"""Updates for penalties alone: lazy regularization (Karras et al. 2020, arXiv:1912.04958)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.core.optimizer import LightningOptimizer
from torch.optim import Optimizer


def lazy_updates(intervals: Sequence[int]) -> int:
    """Returns how many of the updates in a period are followed by one for lazy terms.

    A period is the least common multiple of the terms' intervals; at update 0 all of them are due.
    """
    period = math.lcm(*intervals)
    return sum(any(update % every == 0 for every in intervals) for update in range(period))


def corrected(optimizer: Optimizer, updates: int, further: int) -> Optimizer:
    """Makes up for ``further`` updates after every ``updates``, and returns the optimizer.

    With c = updates / (updates + further), which is k / (k + 1) for one penalty at every k-th
    update, the learning rate is multiplied by c and Adam's betas become beta^c: the same length and
    the same memory in images seen.

    Args:
        optimizer: whose settings, and those that it will be reset to, are changed.
        updates: k.
        further: updates beside those k.
    """
    share = updates / (updates + further)
    for settings in (optimizer.defaults, *optimizer.param_groups):
        settings["lr"] = settings["lr"] * share
        if "betas" in settings:
            settings["betas"] = tuple(beta**share for beta in settings["betas"])
    return optimizer


@contextmanager
def uncounted(optimizer: LightningOptimizer) -> Iterator[None]:
    """Lets an optimizer step without Lightning counting it as a step of the run."""
    hooks: tuple[Any, Any] = optimizer._on_before_step, optimizer._on_after_step
    optimizer._on_before_step = optimizer._on_after_step = _nothing
    try:
        yield
    finally:
        optimizer._on_before_step, optimizer._on_after_step = hooks


def _nothing() -> None:
    """Stands in for Lightning's counting."""
