"""The endless order of training images, a pure function of (seed, images seen).

Nothing is remembered between samples, so a run that is resumed, or split over loader workers and
processes, sees what an undisturbed process would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.streams import mix

_REALS = 0x7265616C  # seed of the fixed order in which `reals` are taken


class Order:
    """Which image stands at each position: epoch ``e`` is a permutation seeded by (seed, e).

    Args:
        count: images in the data set, n; position k belongs to epoch ``k // n``.
        seed: the run's seed.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self._permutations: dict[int, Tensor] = {}

    def indices(self, positions: range) -> Tensor:
        """Returns int64 [len(positions)], the images at increasing ``positions``."""
        places = torch.arange(positions.start, positions.stop, positions.step)
        first, last = places[0].item() // self.count, places[-1].item() // self.count
        if first == last:
            return self._epoch(int(first))[places - int(first) * self.count]
        parts = []
        for epoch in range(int(first), int(last) + 1):
            inside = places[places // self.count == epoch] - epoch * self.count
            parts.append(self._epoch(epoch)[inside])
        return torch.cat(parts)

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._permutations:
            self._permutations.clear()
            generator = torch.Generator().manual_seed(mix(self.seed, epoch))
            self._permutations[epoch] = torch.randperm(self.count, generator=generator)
        return self._permutations[epoch]


def fixed_order(count: int) -> Tensor:
    """Returns int64 [count], a permutation that is the same for every run: that of the reals."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(_REALS))


@dataclass(frozen=True)
class Progress:
    """Where a run stands, and who asks.

    Attributes:
        images_seen: real images shown so far, over all processes.
        iteration: finished generator updates.
        critic_steps_at: critic updates of a given iteration.
        rank: index of this process.
        world: number of processes.
        batch_size_at: images of one critic update, over all processes, after so many images seen;
            its second argument is what was set for the data.
    """

    images_seen: int
    iteration: int
    critic_steps_at: Callable[[int], int]
    rank: int = 0
    world: int = 1
    batch_size_at: Callable[[int, int], int] = lambda images_seen, batch_size: batch_size


class Deal:
    """Deals the order out to training steps: iterates, endlessly, over one range for each step.

    A step at position s with c critic updates of a global batch B takes positions s ... s + cB - 1,
    of which rank r gets every world-th from the r-th on. B being a multiple of the world, these are
    its shares of the critic's batches one after the other.

    Args:
        batch_size: the global batch B, of a game that takes the same at every step.
        progress: asked when an iteration begins, because a checkpoint may be loaded before that.
    """

    def __init__(self, batch_size: int, progress: Callable[[], Progress]) -> None:
        self.batch_size = batch_size
        self.progress = progress

    def __iter__(self) -> Iterator[range]:
        """Yields the positions of each training step, from where the run stands now."""
        at = self.progress()
        start, iteration = at.images_seen, at.iteration
        while True:
            batch_size = at.batch_size_at(start, self.batch_size)
            check_divisible(batch_size, at.world)
            stop = start + batch_size * at.critic_steps_at(iteration)
            yield range(start + at.rank, stop, at.world)
            start, iteration = stop, iteration + 1


def check_divisible(
    batch_size: int, world: int, remedy: str = "set data.batch_size={near}"
) -> None:
    """Raises ConfigError when a batch cannot be split evenly among the processes.

    Args:
        batch_size: images of one critic update, over all processes.
        world: number of processes.
        remedy: what to do, with a place for the sizes that would do.
    """
    if batch_size % world:
        below = batch_size // world * world
        near = f"{below} or {below + world}" if below else str(world)
        raise ConfigError(
            f"batch_size={batch_size} counts the images of all {world} processes and must be a "
            f"multiple of {world}: {remedy.format(near=near)}"
        )
