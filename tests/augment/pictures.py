from __future__ import annotations

import torch
from torch import Tensor


def pictures(n: int, channels: int = 3, side: int = 8) -> Tensor:
    """The same random images in [-1, 1] each time."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, channels, side, side, generator=generator) * 2 - 1


def waves(n: int, side: int) -> Tensor:
    """Smooth gray images, periodic when mirrored at the first and last pixel's centers."""
    x = torch.arange(side) * torch.pi / (side - 1)
    return (torch.cos(2 * x)[None, :] * torch.cos(x)[:, None]).expand(n, 1, side, side)
