from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from torch import Tensor

from ganforge.models.engine.types import Batch, Player
from ganforge.streams import Noise


class Observe(Protocol):
    """Records a scalar for the log point of a step."""

    def __call__(self, name: str, value: Tensor | float, lasting: bool = ...) -> None:
        """A lasting value is not computed at every step; it is logged until replaced."""


@dataclass(frozen=True)
class Update:
    """One update of a player, or one part of it if batches are split (``model.accumulate``).

    Made when the update starts and passed to everything that contributes to the player's loss.

    Attributes:
        player: the player that is updated.
        number: number of the player's updates before this one.
        batch: real data of this part, images in [-1, 1].
        noise: random draws, one row for each image.
        images_seen: real images that the discriminator has seen before this step.
        observe: records a scalar; the values of the parts are averaged.
        observing: whether the scalars of this update are logged.
        lazy: whether this is a separate update for lazy regularizers. It has the number of the
            update before it, and only lasting values are recorded.
        kept: tensors by name that outlive the update; :meth:`AdversarialModule.update` returns
            those of all parts.
    """

    player: Player
    number: int
    batch: Batch
    noise: Noise
    images_seen: int
    observe: Observe
    observing: bool = False
    lazy: bool = False
    kept: Batch = field(default_factory=dict)

    @cached_property
    def draws(self) -> Noise:
        """A second stream of random draws, the same at each access; rewind it before drawing."""
        return self.noise.fork()


Objective = Callable[[Update], Tensor]
