from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.scores.score import Score


class Paths(Protocol):
    """Pairs of neighbouring images on paths through a latent space, in blocks.

    Attributes:
        size: pairs per block.
        space: the latent space, "z" or "w".
    """

    size: int
    space: str

    def __call__(self, block: int, epsilon: float) -> tuple[Tensor, Tensor]:
        """Returns a block's images at t and t + epsilon, [size, C, H, W] in [-1, 1] each."""
        ...


class PathScore(Score):
    """Base class of scores of a latent space, computed from images generated along paths."""

    needs_real = False

    def update_paths(self, paths: Paths, rank: int, world: int) -> None:
        """Updates the score with this process's share of the paths.

        Args:
            paths: generates the pairs of images.
            rank: index of this process.
            world: number of processes.
        """
        raise NotImplementedError

    def update(self, values: Tensor, real: bool) -> None:
        """Ignores ordinary images: only those on paths count."""


def refuse_images(name: str) -> ConfigError:
    """Returns the error for a path score of images that have no latent space."""
    return ConfigError(
        f"metrics={name} goes through the latent space of a game, and these images come from none. "
        "Leave it out of metrics=[...]"
    )
