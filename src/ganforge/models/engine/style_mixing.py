"""Images of two latents: style mixing (Karras et al. 2019, arXiv:1812.04948, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ganforge.streams import Noise


def crossovers(noise: Noise, layers: int, probability: float) -> Tensor:
    """Returns the layer from which on each image takes its second style, int64 [rows].

    With ``probability`` it is uniform over 1 ... layers - 1; else ``layers``, and the image has one
    style alone. Each row takes the same two draws either way.

    Args:
        noise: random draws, one row for each image.
        layers: that take a style each.
        probability: of two styles.
    """
    mixes = noise.uniform() < probability
    if layers < 2:
        return torch.full((noise.rows,), layers, device=noise.device)
    layer = 1 + noise.integers(layers - 1)
    return torch.where(mixes, layer, layers)


def mixed(first: Tensor, second: Tensor, crossover: Tensor) -> Tensor:
    """Returns styles [B, L, D]: those of ``first`` before the crossover, then of ``second``.

    Args:
        first: [B, L, D].
        second: [B, L, D].
        crossover: int64 [B], the first layer with the second style; L leaves the first alone.
    """
    layers = torch.arange(first.shape[1], device=first.device)
    return torch.where((layers < crossover[:, None])[:, :, None], first, second)
