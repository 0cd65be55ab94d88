from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

from ganforge.data.images import to_float

LOOKED_AT = 64  # images
LEAST = 0.05  # share of the reals' variety below which the images of all latents are alike


class Game(Protocol):
    """What this asks of the module."""

    num_classes: int

    def sample(
        self,
        n: int,
        seed: int = 0,
        weights: Literal["ema", "raw"] = "ema",
        start: int = 0,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Returns images [n, C, H, W] in [-1, 1] of seed, weights and labels [n] alone."""
        ...


class RealImages(Protocol):
    """What this asks of the data."""

    def reals(self, n: int, split: str = "train") -> tuple[Tensor, Tensor | None]:
        """Returns images [n, C, H, W], always the same, and their labels [n]."""
        ...

    def size(self, split: str) -> int:
        """Returns how many there are."""
        ...


def variety(images: Tensor) -> float:
    """Returns the root of the pixels' mean variance over images [n, C, H, W]; 0 for equal ones."""
    return float(images.double().var(dim=0, unbiased=False).mean().sqrt())


def has_collapsed(game: Game, data: RealImages, seed: int = 0) -> bool:
    """Tells whether a generator makes one and the same image of all latents.

    A generator that is left with a few images is not found out by this: scores such as recall tell.

    Args:
        game: whose moving average is looked at. One with classes is asked for the first alone,
            since images of different classes always differ.
        data: real images to compare with.
        seed: of the latents.
    """
    labels = torch.zeros(LOOKED_AT, dtype=torch.long) if game.num_classes > 0 else None
    images = game.sample(LOOKED_AT, seed=seed, weights="ema", labels=labels)
    reals = data.reals(min(LOOKED_AT, data.size("train")))[0]
    if not reals.is_floating_point():
        reals = to_float(reals)
    return variety(images) < LEAST * variety(reals)
