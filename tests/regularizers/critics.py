"""Critics whose input gradients are known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.streams import Noise

SHAPES = [(2,), (3, 4, 4), (5, 3)]


class LinearCritic(nn.Module):
    """f(x) = w.x, whose gradient is w everywhere."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.w = nn.Parameter(torch.randn(shape, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return (self.w * x).flatten(1).sum(1)


def quadratic(x: Tensor) -> Tensor:
    """f(x) = |x|^2 / 2, whose gradient is x."""
    return x.flatten(1).square().sum(1) / 2


def batch(shape: tuple[int, ...], seed: int, rows: int = 6) -> Tensor:
    return Noise(seed, rows).normal(*shape)
