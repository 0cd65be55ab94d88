from __future__ import annotations

import math

import torch
from torch import Tensor

from ganforge.streams import Noise


def truncated_latents(noise: Noise, latent_dim: int, threshold: float) -> Tensor:
    """Returns z ~ N(0, I) with each value in [-threshold, threshold], [rows, latent_dim].

    The truncation trick of Brock et al. 2019 (arXiv:1809.11096): values beyond the threshold are
    drawn anew. Here once, from the normal distribution within the threshold, which is what
    drawing until it fits leads to. So each row takes the same two draws, whatever the others do,
    and values that fit are those of the untruncated latents.

    Args:
        noise: random draws, one row for each image.
        latent_dim: length of z.
        threshold: largest absolute value, above 0.
    """
    z, share = noise.normal(latent_dim), noise.uniform(latent_dim)
    # The inverse of the distribution function: P(|z| <= threshold) = erf(threshold / sqrt(2)).
    within = math.erf(threshold / math.sqrt(2))
    fresh = math.sqrt(2) * torch.erfinv((2 * share - 1) * within)
    return torch.where(z.abs() <= threshold, z, fresh.clamp(-threshold, threshold))
