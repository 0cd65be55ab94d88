from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganforge.data.images import to_float
from ganforge.models.engine.observations import Observations
from ganforge.streams import Noise, split_rows

Batch = dict[str, Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
Schedule = Callable[[int], float]
CriticSteps = Callable[[int], int]
Player = Literal["generator", "discriminator"]
Weights = Literal["ema", "raw"]  # the averaged generator or the live one
Number = Callable[[int], float]  # of the real images seen


@dataclass(frozen=True)
class Update:
    """One update of a player, or one part of it if batches are split (``model.accumulate``).

    Made when the update starts and passed to everything that contributes to the player's loss.

    Attributes:
        player: the player that is updated.
        number: number of the player's updates before this one.
        batch: real data, images in [-1, 1].
        noise: random draws, one row for each image.
        images_seen: real images that the discriminator has seen before this step.
        observations: where scalars are recorded.
        observing: whether the scalars of this update are logged.
        lazy: whether this is a separate update for lazy regularizers. It has the number of the
            update before it, and only lasting values are recorded.
        index: index of the part.
        share: share of the part in the batch.
        kept: tensors by name that outlive the update; :meth:`AdversarialModule.update` returns
            those of all parts.
        input_of: makes a number an input of the operations; None computes with the number itself.
    """

    player: Player
    number: int
    batch: Batch
    noise: Noise
    images_seen: int
    observations: Observations
    observing: bool = False
    lazy: bool = False
    index: int = 0
    share: float = 1.0
    kept: Batch = field(default_factory=dict)
    input_of: Callable[[Number], Tensor | float] | None = None

    def scheduled(self, number: Number) -> Tensor | float:
        """Returns a number that may change from one update to the next.

        In a CUDA graph it is a scalar tensor, which has the present value at each replay.
        """
        return number(self.images_seen) if self.input_of is None else self.input_of(number)

    @cached_property
    def draws(self) -> Noise:
        """A second stream of random draws, the same at each access; rewind it before drawing."""
        # Its numbers depend on the forks before it: it is the first one of an update.
        return self.noise.fork()

    def observe(self, name: str, value: Tensor | float, lasting: bool = False) -> None:
        """Records a scalar for the step's log point; the values of the parts are averaged.

        A lasting value is not computed at every step; it is logged until replaced.
        """
        if lasting or self.observing:
            self.observations.add(name, value, lasting, self.index, self.share)

    def split(self, parts: int) -> list[Update]:
        """Returns the update of each of ``parts`` parts of the batch; the same for one part."""
        if parts == 1:
            return [self]
        pieces = zip(split(self.batch, parts), self.noise.split(parts), strict=True)
        rows = self.noise.rows
        return [
            replace(self, batch=batch, noise=noise, index=i, share=noise.rows / rows, kept={})
            for i, (batch, noise) in enumerate(pieces)
        ]


Objective = Callable[[Update], Tensor]


def split(batch: Batch, parts: int) -> list[Batch]:
    """Splits a batch into ``parts`` batches of consecutive rows, the same rows for every tensor."""
    pieces = {name: split_rows(rows, parts) for name, rows in batch.items()}
    return [{name: rows[i] for name, rows in pieces.items()} for i in range(parts)]


def joined(parts: list[Batch]) -> Batch:
    """Returns the batch of which these are consecutive rows."""
    if len(parts) == 1:
        return parts[0]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


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
