"""Lazy regularization: separate updates for penalties (Karras et al. 2020, arXiv:1912.04958)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.core.optimizer import LightningOptimizer
from torch.optim import Optimizer


def lazy_updates(intervals: Sequence[int]) -> int:
    """Returns the number of updates in a period that are followed by a lazy update.

    A period is the least common multiple of the intervals. At update 0 all regularizers are due.
    """
    period = math.lcm(*intervals)
    return sum(any(update % every == 0 for every in intervals) for update in range(period))


def corrected(optimizer: Optimizer, updates: int, further: int) -> Optimizer:
    """Corrects an optimizer for ``further`` updates after every ``updates``, and returns it.

    With c = updates / (updates + further), which is k / (k + 1) for one penalty at every k-th
    update, the learning rate is multiplied by c and Adam's betas become beta^c. The step length and
    the memory of the moments then stay the same per image seen.

    Args:
        optimizer: optimizer whose settings and defaults are changed in place.
        updates: k.
        further: additional updates per k updates.
    """
    share = updates / (updates + further)
    for settings in (optimizer.defaults, *optimizer.param_groups):
        settings["lr"] = settings["lr"] * share
        if "betas" in settings:
            settings["betas"] = tuple(beta**share for beta in settings["betas"])
    return optimizer


@contextmanager
def uncounted(optimizer: LightningOptimizer) -> Iterator[None]:
    """Prevents Lightning from counting the optimizer's steps inside the context."""
    hooks: tuple[Any, Any] = optimizer._on_before_step, optimizer._on_after_step
    optimizer._on_before_step = optimizer._on_after_step = _nothing
    try:
        yield
    finally:
        optimizer._on_before_step, optimizer._on_after_step = hooks


def _nothing() -> None:
    """Does nothing; replaces the hooks in which Lightning counts optimizer steps."""
