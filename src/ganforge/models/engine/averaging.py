from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError


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
        if half_life < 0:
            raise ConfigError(f"average.half_life must be at least 0 images, got {half_life}")
        if ramp is not None and ramp <= 0:
            raise ConfigError(f"average.ramp must be above 0 or null, got {ramp}")
        self.half_life = half_life
        self.ramp = ramp

    def follow(self, live: nn.Module) -> None:
        """Initializes the average as a frozen copy of ``live``."""
        self.module = copy.deepcopy(live).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> ExponentialMovingAverage:
        """Keeps the average in evaluation mode, regardless of ``mode``."""
        return super().train(False)

    def decay(self, batch: int, images_seen: int) -> float:
        """Returns beta for an update with a batch of ``batch`` images."""
        half_life = self.half_life
        if self.ramp is not None:
            half_life = min(half_life, self.ramp * images_seen)
        return float(0.5 ** (batch / half_life)) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, live: nn.Module, batch: int, images_seen: int) -> None:
        """Updates the average: average <- beta average + (1 - beta) live."""
        averaged = [p.data for p in self.module.parameters()]
        weights = [p.data for p in live.parameters()]
        if averaged:  # foreach functions reject empty lists
            torch._foreach_lerp_(averaged, weights, 1 - self.decay(batch, images_seen))
        for mine, theirs in zip(self.module.buffers(), live.buffers(), strict=True):
            mine.copy_(theirs)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1], generated with the averaged weights."""
        return cast(
            Tensor, self.module(latents) if labels is None else self.module(latents, labels)
        )
