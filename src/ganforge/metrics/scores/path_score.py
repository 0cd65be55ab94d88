from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.scores.score import Score


class Paths(Protocol):
    """Pairs of neighbouring images on paths through a latent space, block by block.

    Attributes:
        size: pairs of a block.
        space: the latent space, "z" or "w".
    """

    size: int
    space: str

    def __call__(self, block: int, epsilon: float) -> tuple[Tensor, Tensor]:
        """Returns a block's images at t and t + epsilon, [size, C, H, W] in [-1, 1] each."""
        ...


class PathScore(Score):
    """A score of a generator's latent space: of images that it has made for it alone."""

    needs_real = False

    def travel(self, paths: Paths, rank: int, world: int) -> None:
        """Measures this process's share of the paths.

        Args:
            paths: makes the pairs of images.
            rank: index of this process.
            world: number of processes.
        """
        raise NotImplementedError

    def update(self, values: Tensor, real: bool) -> None:
        """Takes nothing of images that are on no path."""


def refuse_images(name: str) -> ConfigError:
    """Returns the error of a score of paths that is asked for images without a latent space."""
    return ConfigError(
        f"metrics={name} goes through the latent space of a game, and these images come from none. "
        "Leave it out of metrics=[...]"
    )
