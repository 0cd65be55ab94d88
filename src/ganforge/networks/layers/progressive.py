"""What networks share that grow while they learn (Karras et al. 2018, arXiv:1710.10196)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError


def double(images: Tensor) -> Tensor:
    """Returns [B, C, 2H, 2W] of images [B, C, H, W]: each pixel four times."""
    return F.interpolate(images, scale_factor=2.0, mode="nearest")


def halve(images: Tensor) -> Tensor:
    """Returns [B, C, H/2, W/2] of images [B, C, H, W]: means over 2x2."""
    return F.avg_pool2d(images, 2)


class GrowthLevel(nn.Module):
    """How far a network has grown: level 0 is 4x4, 1 is 8x8, 2.3 is 16x16 and 0.3 of 32x32.

    It is set from outside before each step and never saved: a function of the images seen. Alpha,
    which changes at every step of a fade, is a tensor, so that a compiled network is compiled once
    for each stage and not for each value of it.

    Args:
        last: level of a network of full size, where it starts.

    Attributes:
        stage: level of the images that are made or judged.
        fading: whether that stage is faded in, over the one below.
    """

    alpha: Tensor

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last
        self.stage = last
        self.fading = False
        self.register_buffer("alpha", torch.ones(()), persistent=False)

    def set(self, level: float) -> None:
        """Takes a level from 0 to that of the full size."""
        if not 0 <= level <= self.last:
            raise ConfigError(f"grow: level must be in [0, {self.last}], got {level}")
        self.stage = math.ceil(level)
        self.fading = self.stage > level
        self.alpha.fill_(level - math.floor(level) if self.fading else 1.0)

    def fade(self, below: Tensor, above: Tensor) -> Tensor:
        """Returns (1 - alpha) below + alpha above, for tensors of one shape."""
        return below + (above - below) * self.alpha
