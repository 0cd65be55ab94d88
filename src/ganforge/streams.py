"""Counter-based randomness: each draw depends only on the seed and the step, not on the history.

A run that is killed and resumed, or distributed over several processes, therefore draws the same
numbers as an uninterrupted run in one process.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from enum import IntEnum, unique
from typing import Any

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


@unique
class Stream(IntEnum):
    """The independent random streams of one seed: ``mix(seed, Stream.TRAINING, ...)``.

    Give a new stream a new number. Never change existing ones: a run's draws depend on them.
    """

    TRAINING = 1
    SAMPLING = 2
    LAYERS = 3  # dropout and other layers that use the global generators
    TRANSLATING = 4
    POOLS = 5  # which image of CycleGAN's pool is returned
    PLACES = 6  # positions between two latents, for the perceptual path length
    SCORES = 0x5C02E  # latents of evaluations
    COLLAPSE = 0xC011A  # latents of a search's check for mode collapse
    BOOTSTRAP = 0x626F6F74
    PAIRS = 0x70616972  # pairs of images for the diversity scores
    MIRROR = 0x6D6972726F72
    TOP = 0x746F70  # vertical position of a crop
    LEFT = 0x6C656674  # horizontal position of a crop
    DOMAIN = 0x646F6D61696E  # order and draws of one domain
    STACKED = 0x737461636B  # which digits are stacked; used without a seed before it
    CONSTANT_NOISE = 0x6E6F697365  # constant noise maps; used without a seed before it


@unique
class Substream(IntEnum):
    """The random streams below a seed that was already mixed with a :class:`Stream`."""

    LAZY = 4  # in an update: separate latents for lazy penalties
    ENDS = 5  # in sampling: the second latents of paths


def mix(*keys: int) -> int:
    """Hashes integer counters into one seed in [0, 2^63), by a chain of splitmix64 finalizers."""
    state = 0
    for key in keys:
        state = (state ^ (key & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


Forks = tuple[int, ...]  # numbers of the forks that lead from one stream to another
Source = Callable[[int, Forks, torch.device], torch.Generator]


def follow(seed: int, path: Forks) -> int:
    """Returns the seed of the stream that the forks of ``path`` lead to."""
    for fork in path:
        seed = mix(seed, fork)
    return seed


def new_generator(seed: int, path: Forks, device: torch.device) -> torch.Generator:
    """Returns a new generator of the stream at ``path`` below a seed."""
    return torch.Generator(device).manual_seed(follow(seed, path))


class Noise:
    """A sequence of random draws for one update.

    Draws are made for the global batch: row ``j`` goes to rank ``j % world``, like the real images.
    Every rank draws the whole global batch and keeps its own rows, so N processes together use the
    same numbers as one process.

    Args:
        seed: result of :func:`mix` for the run's seed and counters.
        rows: rows of this process's batch, B.
        device: device on which the numbers are returned.
        rank: index of this process.
        world: number of processes.
        portable: draw the numbers on the CPU, so that they are the same for every device. By
            default they are drawn on ``device``, which takes no transfer: training draws millions
            of numbers at each step. GPUs of different models may draw different ones.
        source: makes the generators of this stream and of all streams derived from it.
        path: forks that lead from the stream of ``seed`` to this one.
    """

    def __init__(
        self,
        seed: int,
        rows: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
        portable: bool = False,
        source: Source = new_generator,
        path: Forks = (),
    ) -> None:
        self.root = seed
        self.path = path
        self.source = source
        self.batch_rows = rows
        self.device = torch.device(device)
        self.rank = rank
        self.world = world
        self.portable = portable
        self._kept = slice(None)
        self._forks = 0
        self._past: list[tuple[Any, ...]] = []  # draws so far: function, arguments
        self._missed: list[tuple[Any, ...]] = []  # draws to repeat before the next one
        self._generator = source(seed, path, torch.device("cpu") if portable else self.device)

    @property
    def seed(self) -> int:
        """Seed of this stream."""
        return follow(self.root, self.path)

    @property
    def rows(self) -> int:
        """Number of rows that each draw returns."""
        return len(range(self.batch_rows)[self._kept])

    def split(self, parts: int) -> list[Noise]:
        """Returns ``parts`` streams that together return the rows of this one, in order.

        Each part restarts at the first draw: split a stream before drawing from it.
        """
        bounds = [round(i * self.batch_rows / parts) for i in range(parts + 1)]
        pairs = itertools.pairwise(bounds)
        return [self._copy(self.path, slice(start, stop)) for start, stop in pairs]

    def _copy(self, path: Forks, kept: slice) -> Noise:
        """Returns a stream at its first draw that only returns some rows of the batch."""
        return self._copy_from(self.source, path, kept)

    def _copy_from(self, source: Source, path: Forks, kept: slice) -> Noise:
        place = (self.device, self.rank, self.world, self.portable)
        copy = Noise(self.root, self.batch_rows, *place, source, path)
        copy._kept = kept
        return copy

    def fork(self) -> Noise:
        """Returns an independent stream for the same rows; each call returns a different one."""
        self._forks += 1
        return self._copy((*self.path, self._forks), self._kept)

    def branched(self) -> Noise:
        """Returns a copy of this stream at its next draw; both continue with the same numbers."""
        copy = self._copy(self.path, self._kept)
        copy._forks = self._forks
        # The state of a generator cannot be read while a CUDA graph is captured. The draws are
        # repeated instead, and only if the copy is used.
        copy._missed = [*self._missed, *self._past]
        return copy

    def restarted(self) -> Noise:
        """Returns a copy of this stream, rewound to its first draw."""
        return self._copy(self.path, self._kept)

    def drawn_from(self, source: Source) -> Noise:
        """Returns a copy of this stream at its first draw, with generators of another source."""
        return self._copy_from(source, self.path, self._kept)

    def normal(self, *shape: int) -> Tensor:
        """Returns [rows, *shape] from N(0, 1)."""
        return self._drawn(torch.randn, shape)

    def uniform(self, *shape: int) -> Tensor:
        """Returns [rows, *shape] from U[0, 1)."""
        return self._drawn(torch.rand, shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Returns [rows, *shape] of int64, uniform over 0 ... high - 1."""
        return self._drawn(torch.randint, shape, high)

    def _drawn(self, draw: Callable[..., Tensor], shape: tuple[int, ...], *first: int) -> Tensor:
        size = (self.batch_rows * self.world, *shape)
        options = {"generator": self._generator, "device": self._generator.device}
        for earlier, *arguments in self._missed:
            earlier(*arguments, **options)
        self._past += [*self._missed, (draw, *first, size)]
        self._missed = []
        return self._own(draw(*first, size, **options))

    def _own(self, draws: Tensor) -> Tensor:
        own = draws[self.rank :: self.world][self._kept]
        if self.portable and self.device.type == "cuda":
            # From pinned memory the copy does not wait for the device, so that the numbers of the
            # next block are drawn while it generates the images of this one.
            return own.pin_memory().to(self.device, non_blocking=True)
        return own.to(self.device)


class JoinedNoise(Noise):
    """The rows of several streams, one stream after the other.

    Args:
        parts: the streams, at their first draw.
    """

    def __init__(self, parts: Sequence[Noise]) -> None:
        super().__init__(parts[0].seed, sum(part.rows for part in parts), parts[0].device)
        self._parts = list(parts)

    def normal(self, *shape: int) -> Tensor:
        """Returns [rows, *shape] from N(0, 1)."""
        return torch.cat([part.normal(*shape) for part in self._parts])[self._kept]

    def uniform(self, *shape: int) -> Tensor:
        """Returns [rows, *shape] from U[0, 1)."""
        return torch.cat([part.uniform(*shape) for part in self._parts])[self._kept]

    def integers(self, high: int, *shape: int) -> Tensor:
        """Returns [rows, *shape] of int64, uniform over 0 ... high - 1."""
        return torch.cat([part.integers(high, *shape) for part in self._parts])[self._kept]

    def fork(self) -> Noise:
        """Returns an independent stream for the same rows: a fork of each part."""
        return self._joined([part.fork() for part in self._parts], self._kept)

    def branched(self) -> Noise:
        """Returns a copy of this stream at its next draw: one of each part."""
        return self._joined([part.branched() for part in self._parts], self._kept)

    def drawn_from(self, source: Source) -> Noise:
        """Returns a copy of this stream at its first draw: one of each part."""
        return self._joined([part.drawn_from(source) for part in self._parts], self._kept)

    def _copy(self, path: Forks, kept: slice) -> Noise:
        return self._joined([part.restarted() for part in self._parts], kept)

    @staticmethod
    def _joined(parts: list[Noise], kept: slice) -> Noise:
        copy = JoinedNoise(parts)
        copy._kept = kept
        return copy


def joined(parts: Sequence[Noise]) -> Noise:
    """Returns one stream with the rows of several; a single one is returned as it is."""
    return parts[0] if len(parts) == 1 else JoinedNoise(parts)


def split_rows(tensor: Tensor, parts: int) -> list[Tensor]:
    """Splits [B, ...] at the same rows as :meth:`Noise.split`."""
    bounds = [round(i * len(tensor) / parts) for i in range(parts + 1)]
    return [tensor[start:stop] for start, stop in itertools.pairwise(bounds)]


def seed_layers(seed: int, device: torch.device) -> None:
    """Seeds torch's global generators of the CPU and ``device``, which layers draw from.

    A faster torch.manual_seed: without a GPU, that takes milliseconds, as it records a stack trace
    for each device type that is not initialized yet.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
