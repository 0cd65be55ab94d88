from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import Tensor

from ganforge.models.engine.observations import Observations
from ganforge.models.engine.types import Batch, Player, split
from ganforge.streams import Noise


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

    @cached_property
    def draws(self) -> Noise:
        """A second stream of random draws, the same at each access; rewind it before drawing."""
        return self.noise.fork()

    def observe(self, name: str, value: Tensor | float, lasting: bool = False) -> None:
        """Records a scalar for the step's log point; the values of the parts are averaged.

        A lasting value is not computed at every step; it is logged until replaced.
        """
        if lasting or self.observing:
            self.observations.add(name, value, lasting, self.index, self.share)

    def split(self, parts: int) -> list[Update]:
        """Returns the update of each of ``parts`` parts of the batch."""
        pieces = zip(split(self.batch, parts), self.noise.split(parts), strict=True)
        rows = self.noise.rows
        return [
            replace(self, batch=batch, noise=noise, index=i, share=noise.rows / rows, kept={})
            for i, (batch, noise) in enumerate(pieces)
        ]


Objective = Callable[[Update], Tensor]
