from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

from ganforge.data.images import to_float

LOOKED_AT = 64  # images per check
LEAST = 0.05  # fraction of the real images' variety below which the generator has collapsed


class Game(Protocol):
    """The interface needed from a module."""

    num_classes: int

    def sample(
        self,
        n: int,
        seed: int = 0,
        weights: Literal["ema", "raw"] = "ema",
        start: int = 0,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Returns images [n, C, H, W] in [-1, 1], determined by seed, weights and labels [n]."""
        ...


class RealImages(Protocol):
    """The interface needed from a data module."""

    def reals(self, n: int, split: str = "train") -> tuple[Tensor, Tensor | None]:
        """Returns the same images [n, C, H, W] on every call, and their labels [n]."""
        ...

    def size(self, split: str) -> int:
        """Returns the number of images in a split."""
        ...


def variety(images: Tensor) -> float:
    """Returns the square root of the mean pixel variance over images [n, C, H, W].

    It is 0 if all images are equal.
    """
    return float(images.double().var(dim=0, unbiased=False).mean().sqrt())


def has_collapsed(game: Game, data: RealImages, seed: int = 0) -> bool:
    """Returns whether the generator produces the same image for all latents.

    Does not detect a collapse to a few modes; scores such as recall do.

    Args:
        game: module whose averaged generator is checked. Conditional models are sampled with the
            first class only, since images of different classes always differ.
        data: real images to compare with.
        seed: seed of the latents.
    """
    labels = torch.zeros(LOOKED_AT, dtype=torch.long) if game.num_classes > 0 else None
    images = game.sample(LOOKED_AT, seed=seed, weights="ema", labels=labels)
    reals = data.reals(min(LOOKED_AT, data.size("train")))[0]
    if not reals.is_floating_point():
        reals = to_float(reals)
    return variety(images) < LEAST * variety(reals)
