"""Style mixing: images of two latents (Karras et al. 2019, arXiv:1812.04948, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ganforge.streams import Noise


def crossovers(noise: Noise, layers: int, probability: float) -> Tensor:
    """Returns the index of the first layer that uses an image's second style, int64 [rows].

    With ``probability`` it is uniform over 1 ... layers - 1; otherwise it is ``layers``, and the
    image has a single style. Each row uses the same two draws in both cases.

    Args:
        noise: random draws, one row for each image.
        layers: number of layers with a style.
        probability: probability of mixing two styles.
    """
    mixes = noise.uniform() < probability
    if layers < 2:
        return torch.full((noise.rows,), layers, device=noise.device)
    layer = 1 + noise.integers(layers - 1)
    return torch.where(mixes, layer, layers)


def mixed(first: Tensor, second: Tensor, crossover: Tensor) -> Tensor:
    """Returns styles [B, L, D]: those of ``first`` before the crossover, ``second`` from it on.

    Args:
        first: [B, L, D].
        second: [B, L, D].
        crossover: int64 [B], the first layer with the second style; L returns ``first``.
    """
    layers = torch.arange(first.shape[1], device=first.device)
    return torch.where((layers < crossover[:, None])[:, :, None], first, second)
