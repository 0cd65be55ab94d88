"""Counter-seeded randomness: every draw is a function of where the run stands, never of its past.

A run that is killed and resumed, or split over several processes, therefore draws the same numbers
as one that was left alone.
"""

from __future__ import annotations

import itertools
from enum import IntEnum, unique

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


@unique
class Stream(IntEnum):
    """The random streams among those of one seed: ``mix(seed, Stream.TRAINING, ...)``.

    A new stream takes a new number. The numbers are part of what a run draws, and never change.
    """

    TRAINING = 1
    SAMPLING = 2
    LAYERS = 3  # dropout and the like, from the global generators
    TRANSLATING = 4
    POOLS = 5  # which image of CycleGAN's pool is returned
    PLACES = 6  # between two latents, of the perceptual path length
    SCORES = 0x5C02E  # latents of evaluations
    COLLAPSE = 0xC011A  # latents of the check for collapse in a search
    BOOTSTRAP = 0x626F6F74
    PAIRS = 0x70616972  # of images whose diversity is measured
    MIRROR = 0x6D6972726F72
    TOP = 0x746F70  # of a window that is cut out
    LEFT = 0x6C656674
    DOMAIN = 0x646F6D61696E  # order and draws of one domain
    STACKED = 0x737461636B  # which digits are stacked; with no seed before it
    CONSTANT_NOISE = 0x6E6F697365  # maps of constant noise; with no seed before it


@unique
class Substream(IntEnum):
    """The random streams among those of a seed that a :class:`Stream` has made already."""

    LAZY = 4  # of an update: further latents for penalties alone
    ENDS = 5  # of samples: the second latents of paths


def mix(*keys: int) -> int:
    """Hashes integer counters into one seed in [0, 2^63), by a chain of splitmix64 finalizers."""
    state = 0
    for key in keys:
        state = (state ^ (key & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


class Noise:
    """The random draws of one update, in their order.

    Numbers belong to the global batch: row ``j`` goes to rank ``j % world``, the same rule by which
    real images are dealt out. Every rank draws the whole global batch and keeps its rows, so that
    N processes see what one process would have seen.

    Args:
        seed: what :func:`mix` made of the run's seed and counters.
        rows: rows of this process's batch, B.
        device: where the numbers are drawn and returned.
        rank: index of this process.
        world: number of processes.
    """

    def __init__(
        self,
        seed: int,
        rows: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.seed = seed
        self.batch_rows = rows
        self.device = torch.device(device)
        self.rank = rank
        self.world = world
        self._kept = slice(None)
        self._forks = 0
        self._generator = torch.Generator(self.device).manual_seed(seed)

    @property
    def rows(self) -> int:
        """Rows that each draw returns."""
        return len(range(self.batch_rows)[self._kept])

    def split(self, parts: int) -> list[Noise]:
        """Returns ``parts`` streams which together return the rows of this one, in order.

        Each restarts at the first draw: split a stream before drawing from it.
        """
        bounds = [round(i * self.batch_rows / parts) for i in range(parts + 1)]
        return [self._only(start, stop) for start, stop in itertools.pairwise(bounds)]

    def _only(self, start: int, stop: int) -> Noise:
        """Returns a stream of the same draws that returns rows start ... stop - 1 alone."""
        part = Noise(self.seed, self.batch_rows, self.device, self.rank, self.world)
        part._kept = slice(start, stop)
        return part

    def fork(self) -> Noise:
        """Returns a stream of its own for the same rows; each call returns another one."""
        self._forks += 1
        fork = Noise(
            mix(self.seed, self._forks), self.batch_rows, self.device, self.rank, self.world
        )
        fork._kept = self._kept
        return fork

    def restarted(self) -> Noise:
        """Returns the same stream from its first draw on."""
        rows = range(self.batch_rows)[self._kept]
        return self._only(rows.start, rows.stop)

    def normal(self, *shape: int) -> Tensor:
        """Returns [rows, *shape] from N(0, 1)."""
        size = (self.batch_rows * self.world, *shape)
        return self._own(torch.randn(size, generator=self._generator, device=self.device))

    def uniform(self, *shape: int) -> Tensor:
        """Returns [rows, *shape] from U[0, 1)."""
        size = (self.batch_rows * self.world, *shape)
        return self._own(torch.rand(size, generator=self._generator, device=self.device))

    def integers(self, high: int, *shape: int) -> Tensor:
        """Returns [rows, *shape] of int64, uniform over 0 ... high - 1."""
        size = (self.batch_rows * self.world, *shape)
        draws = torch.randint(high, size, generator=self._generator, device=self.device)
        return self._own(draws)

    def _own(self, draws: Tensor) -> Tensor:
        return draws[self.rank :: self.world][self._kept]


def split_rows(tensor: Tensor, parts: int) -> list[Tensor]:
    """Splits [B, ...] into the same pieces as :meth:`Noise.split`."""
    bounds = [round(i * len(tensor) / parts) for i in range(parts + 1)]
    return [tensor[start:stop] for start, stop in itertools.pairwise(bounds)]


def seed_layers(seed: int, device: torch.device) -> None:
    """Seeds the global streams that layers draw from, on the CPU and on ``device``.

    As torch.manual_seed, which takes milliseconds where there is no GPU: it notes where it was
    called from for each kind of device that might yet be used.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
