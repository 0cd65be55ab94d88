"""The endless order of training images, a pure function of (seed, images seen).

No state is kept between samples. A resumed run, or one that is split over loader workers and
processes, therefore sees the same images as a single uninterrupted process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.streams import mix

_REALS = 0x7265616C  # seed of the fixed order of `reals`
_ANNOUNCEMENTS = 64  # how often the groups of one window are announced anew
_MASK = (1 << 64) - 1


class Order:
    """Maps positions to images: epoch ``e`` is a permutation seeded by (seed, e).

    Args:
        count: number of images n; position k is in epoch ``k // n``.
        seed: seed of the run.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self._permutations: dict[int, Tensor] = {}

    def indices(self, positions: range) -> Tensor:
        """Returns int64 [len(positions)], the images at increasing ``positions``."""
        numbers = as_tensor(positions)
        first, last = numbers[0].item() // self.count, numbers[-1].item() // self.count
        if first == last:
            return self._epoch(int(first))[numbers - int(first) * self.count]
        parts = []
        for epoch in range(int(first), int(last) + 1):
            inside = numbers[numbers // self.count == epoch] - epoch * self.count
            parts.append(self._epoch(epoch)[inside])
        return torch.cat(parts)

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._permutations:
            self._permutations.clear()  # positions only increase: earlier epochs are not needed
            self._permutations[epoch] = self._permutation(epoch)
        return self._permutations[epoch]

    def _permutation(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(mix(self.seed, epoch))
        return torch.randperm(self.count, generator=generator)


@dataclass(frozen=True)
class Groups:
    """Images that are stored in groups, such as shards, of which few should be read at a time.

    Attributes:
        numbers: int64 [N], the group of each image.
        window: number of images that are shuffled together.
    """

    numbers: Tensor
    window: int

    def subset(self, indices: Tensor) -> Groups:
        """Returns the groups of the images at ``indices``."""
        return Groups(self.numbers[indices], self.window)


class WindowOrder(Order):
    """An order whose epochs go through the groups once, in a random order, a few at a time.

    The groups of an epoch lie on a circle in random order, each as long as its number of images.
    Each image moves ahead from the start of its group by a uniform random distance of up to
    ``window`` images. Sorted by place, every stretch of the circle is a random mixture of the
    groups that start within one window before it, in equal shares, also at the start of the epoch.
    With a window of all images, the epoch is a permutation like that of :class:`Order`.

    Args:
        groups: the group of each image, and the window.
        seed: seed of the run.
        expect: called, as positions advance, with the groups of the next images, in order.
    """

    def __init__(
        self, groups: Groups, seed: int, expect: Callable[[Sequence[int]], None] | None = None
    ) -> None:
        super().__init__(len(groups.numbers), seed)
        self.groups = groups
        self.expect = expect
        self._announced = range(0)

    def indices(self, positions: range) -> Tensor:
        """Returns int64 [len(positions)], the images at increasing ``positions``."""
        found = super().indices(positions)
        if self.expect is not None and positions[-1] not in self._announced:
            self.expect(self._next_groups(positions[-1]))
        return found

    def _next_groups(self, position: int) -> list[int]:
        """Returns the groups of the images from ``position`` on that one window spans."""
        start = position % self.count
        ahead = self._epoch(position // self.count)[start : start + self.groups.window]
        self._announced = range(position, position + max(len(ahead) // _ANNOUNCEMENTS, 1))
        return list(dict.fromkeys(self.groups.numbers[ahead].tolist()))

    def _permutation(self, epoch: int) -> Tensor:
        numbers = self.groups.numbers
        if self.groups.window >= self.count:
            return super()._permutation(epoch)
        generator = torch.Generator().manual_seed(mix(self.seed, epoch))
        sizes = numbers.bincount()
        order = torch.randperm(len(sizes), generator=generator)
        starts = torch.empty_like(sizes)
        starts[order] = sizes[order].cumsum(0) - sizes[order]
        ahead = torch.rand(self.count, generator=generator, dtype=torch.float64)
        places = (starts[numbers] + self.groups.window * ahead) % self.count
        return torch.argsort(places, stable=True)


def fixed_order(count: int) -> Tensor:
    """Returns the permutation used for ``reals``, int64 [count], the same for every run."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(_REALS))


def as_tensor(positions: range) -> Tensor:
    """Returns positions as int64 [len(positions)]."""
    return torch.arange(positions.start, positions.stop, positions.step)


def uniforms(seed: int, positions: Tensor) -> Tensor:
    """Returns float64 [B] in [0, 1): number ``position`` of the stream ``seed``.

    A counter-based generator (the splitmix64 sequence): a sample gets the same number in any
    batch, worker or process, without one generator object per sample.

    Args:
        seed: identifies the stream, any integer.
        positions: int64 [B], on the CPU.
    """
    state = positions * _signed(0x9E3779B97F4A7C15) + _signed(seed)
    state = (state ^ _shifted(state, 30)) * _signed(0xBF58476D1CE4E5B9)
    state = (state ^ _shifted(state, 27)) * _signed(0x94D049BB133111EB)
    state = state ^ _shifted(state, 31)
    return _shifted(state, 11).to(torch.float64) * 2.0**-53


def _signed(value: int) -> int:
    """Returns the int64 with the bits of ``value``; torch has no arithmetic on uint64."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _shifted(state: Tensor, bits: int) -> Tensor:
    """Returns a logical right shift; ``>>`` on int64 tensors is arithmetic (extends the sign)."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


@dataclass(frozen=True)
class Progress:
    """Progress of a run, and the rank of this process.

    Attributes:
        images_seen: real images used so far, over all processes.
        iteration: completed generator updates.
        critic_steps_at: returns the number of critic steps of an iteration.
        rank: index of this process.
        world: number of processes.
        batch_size_at: returns the images per critic step, over all processes, given the images
            seen so far and the configured ``data.batch_size``.
    """

    images_seen: int
    iteration: int
    critic_steps_at: Callable[[int], int]
    rank: int = 0
    world: int = 1
    batch_size_at: Callable[[int, int], int] = lambda images_seen, batch_size: batch_size


class Deal:
    """Assigns positions to training steps: an endless iterable with one range per step.

    A step at position s with c critic steps of global batch size B uses positions s ... s + cB - 1.
    Rank r gets positions s + r, s + r + world, and so on. Since B is a multiple of the world size,
    these are its shares of the c batches, one after the other.

    Args:
        batch_size: global batch size B; ``Progress.batch_size_at`` may change it during training.
        progress: called when iteration begins, not before: a checkpoint may be loaded until then.
    """

    def __init__(self, batch_size: int, progress: Callable[[], Progress]) -> None:
        self.batch_size = batch_size
        self.progress = progress

    def __iter__(self) -> Iterator[range]:
        """Yields the positions of each training step, starting at the current progress."""
        at = self.progress()
        start, iteration = at.images_seen, at.iteration
        while True:
            batch_size = at.batch_size_at(start, self.batch_size)
            check_divisible(batch_size, at.world)
            stop = start + batch_size * at.critic_steps_at(iteration)
            yield range(start + at.rank, stop, at.world)
            start, iteration = stop, iteration + 1


def check_divisible(
    batch_size: int, world: int, nodes: int = 1, others: Sequence[int] = ()
) -> None:
    """Raises ConfigError if a batch cannot be split evenly among the processes.

    The message names a number of devices that fits, since another batch size would be another
    recipe.

    Args:
        batch_size: images per critic step, over all processes.
        world: number of processes, a multiple of ``nodes``.
        nodes: number of nodes.
        others: further batch sizes of the run, which the named number of devices must divide, too.
    """
    if batch_size % world == 0:
        return
    sizes = (batch_size, *others)
    fitting = [n for n in range(1, world // nodes) if not any(size % (nodes * n) for size in sizes)]
    remedy = f"use trainer.devices={fitting[-1]}" if fitting else "use fewer nodes"
    raise ConfigError(
        f"batch_size={batch_size} counts the images of all {world} processes and must be a "
        f"multiple of {world}: {remedy}"
    )
