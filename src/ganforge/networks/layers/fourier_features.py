from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ganforge.networks.layers.shapes import check_positive


class FourierFeatures(nn.Module):
    """Fourier features: sines and cosines of coordinates, which help to fit fine details.

    Tancik et al. 2020, arXiv:2006.10739: fully connected layers learn low frequencies first, and
    details of a hundredth of the coordinates' range very late. Frequencies are octaves, as in NeRF
    (Mildenhall et al. 2020, arXiv:2003.08934):  x, sin(f 2^k x), cos(f 2^k x)  for
    k = 0 ... octaves - 1.

    Args:
        dim: D, length of the vectors.
        octaves: number of octaves; 0 returns the vectors unchanged.
        frequency: f of the lowest octave, in radians per unit.
    """

    frequencies: Tensor

    def __init__(self, dim: int, octaves: int, frequency: float = math.pi) -> None:
        super().__init__()
        check_positive("FourierFeatures", "dim", dim)
        self.octaves = octaves
        self.output_dim = dim * (1 + 2 * octaves)
        frequencies = frequency * 2.0 ** torch.arange(octaves)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Returns [B, D (1 + 2 octaves)] of vectors [B, D]."""
        if self.octaves == 0:
            return vectors
        phases = (vectors[..., None] * self.frequencies).flatten(1)
        return torch.cat([vectors, phases.sin(), phases.cos()], dim=1)
