"""Shared parts of progressively growing networks (Karras et al. 2018, arXiv:1710.10196)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError


def double(images: Tensor) -> Tensor:
    """Returns [B, C, 2H, 2W] of images [B, C, H, W]: each pixel is repeated 2x2."""
    return F.interpolate(images, scale_factor=2.0, mode="nearest")


def halve(images: Tensor) -> Tensor:
    """Returns [B, C, H/2, W/2] of images [B, C, H, W]: 2x2 mean pooling."""
    return F.avg_pool2d(images, 2)


class GrowthLevel(nn.Module):
    """Level of a growing network: 0 is 4x4, 1 is 8x8, 2.3 is 16x16 with 0.3 of 32x32.

    The model sets it before each step, from the images seen, so it is not saved. Alpha changes at
    every step of a fade; it is a tensor so that a compiled network is compiled once per stage, not
    for each value.

    Args:
        last: level of the full size, which is also the initial level.

    Attributes:
        stage: level of the current images, rounded up.
        fading: whether this stage is being faded in over the one below.
    """

    alpha: Tensor

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last
        self.stage = last
        self.fading = False
        self.register_buffer("alpha", torch.ones(()), persistent=False)

    def set(self, level: float) -> None:
        """Sets the level, between 0 and that of the full size."""
        if not 0 <= level <= self.last:
            raise ConfigError(f"grow: level must be in [0, {self.last}], got {level}")
        self.stage = math.ceil(level)
        self.fading = self.stage > level
        self.alpha.fill_(level - math.floor(level) if self.fading else 1.0)

    def fade(self, below: Tensor, above: Tensor) -> Tensor:
        """Returns (1 - alpha) below + alpha above, for tensors of the same shape."""
        return below + (above - below) * self.alpha


class Growing(nn.Module):
    """Base class of growing networks; subclasses set ``level``."""

    level: GrowthLevel

    def grow(self, level: float) -> None:
        """Sets the level of the images: 0 is 4x4, 2.3 is 16x16 with 0.3 of 32x32."""
        self.level.set(level)
