from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from ganforge.errors import require

T = TypeVar("T")


class ExponentialMovingAverage(nn.Module):
    """Exponential moving average of a generator's weights, used for evaluation and sampling.

    The decay is given as a half-life in images (Karras et al. 2020, arXiv:2006.06676), which is
    independent of the batch size:  beta = 0.5 ^ (batch / half_life).
    Buffers (the statistics of BatchNorm) are copied, not averaged.

    Args:
        half_life: number of images after which an old value has weight 1/2; 0 copies the live
            weights without averaging.
        ramp: limits the half-life to ``ramp * images_seen``, so that early averages forget the
            initialization; None for no ramp-up.
    """

    module: nn.Module

    def __init__(self, half_life: float = 10_000.0, ramp: float | None = 0.05) -> None:
        super().__init__()
        require(half_life >= 0, f"average.half_life must be at least 0 images, got {half_life}")
        require(ramp is None or ramp > 0, f"average.ramp must be above 0 or null, got {ramp}")
        self.half_life = half_life
        self.ramp = ramp

    def follow(self, live: nn.Module) -> None:
        """Initializes the average as a frozen copy of ``live``."""
        self.module = copy.deepcopy(live).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> ExponentialMovingAverage:
        """Keeps the average in evaluation mode, regardless of ``mode``."""
        return super().train(False)

    def half_life_at(self, images_seen: int) -> float:
        """Returns the half-life in images after ``images_seen`` real images."""
        return self._ramped(self.half_life, images_seen)

    def decay(self, batch: int, images_seen: int) -> float:
        """Returns beta for an update with a batch of ``batch`` images."""
        half_life = self.half_life_at(images_seen)
        return float(0.5 ** (batch / half_life)) if half_life > 0 else 0.0

    def _ramped(self, half_life: float, images_seen: int) -> float:
        return half_life if self.ramp is None else min(half_life, self.ramp * images_seen)

    @torch.no_grad()
    def update(self, live: nn.Module, batch: int, images_seen: int) -> None:
        """Updates the average: average <- beta average + (1 - beta) live."""
        averaged = [p.data for p in self.module.parameters()]
        weights = [p.data for p in live.parameters()]
        if averaged:  # foreach functions reject empty lists
            torch._foreach_lerp_(averaged, weights, 1 - self.decay(batch, images_seen))
        buffers = zip(self.module.buffers(), live.buffers(), strict=True)
        for pairs in grouped(buffers, key=lambda pair: pair[0].dtype).values():
            mine, theirs = map(list, zip(*pairs, strict=True))
            torch._foreach_copy_(mine, theirs)  # a single launch only if all are of one dtype

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1], generated with the averaged weights."""
        return cast(
            Tensor, self.module(latents) if labels is None else self.module(latents, labels)
        )


class CosineAverage(ExponentialMovingAverage):
    """Moving average whose half-life grows from 0 along half a cosine, as in R3GAN.

    Huang et al. 2024, arXiv:2501.05441.

    Args:
        half_life: final half-life in images.
        ramp: additionally limits the half-life to ``ramp * images_seen``; None for no such limit.
        images: real images seen after which the final half-life is reached.
    """

    def __init__(
        self, half_life: float = 5_000_000.0, ramp: float | None = None, images: int = 20_000_000
    ) -> None:
        super().__init__(half_life, ramp)
        require(images >= 1, f"average.images must be at least 1, got {images}")
        self.images = images

    def half_life_at(self, images_seen: int) -> float:
        """Returns the half-life in images after ``images_seen`` real images."""
        passed = min(images_seen / self.images, 1.0)
        return self._ramped(self.half_life * (1 - math.cos(math.pi * passed)) / 2, images_seen)


def grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> dict[Hashable, list[T]]:
    """Returns the items by key, each list in the order of the items."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def unwrapped(generator: nn.Module) -> Any:
    """Returns the network of a generator, which may be a moving average."""
    return generator.module if isinstance(generator, ExponentialMovingAverage) else generator
