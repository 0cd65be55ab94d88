from __future__ import annotations

import math

import torch
from torch import Tensor

from ganforge.streams import Noise


def truncated_latents(noise: Noise, latent_dim: int, threshold: float) -> Tensor:
    """Returns z ~ N(0, I) with each value in [-threshold, threshold], [rows, latent_dim].

    The truncation trick of Brock et al. 2019 (arXiv:1809.11096) redraws values beyond the threshold
    until they fit. Here they are drawn once, from the truncated normal distribution, which is the
    same distribution. Each row thus uses a fixed number of draws, and values within the threshold
    equal those of the untruncated latents.

    Args:
        noise: random draws, one row for each image.
        latent_dim: length of z.
        threshold: largest absolute value, above 0.
    """
    z, share = noise.normal(latent_dim), noise.uniform(latent_dim)
    # Inverse of the distribution function, with P(|z| <= threshold) = erf(threshold / sqrt(2)).
    within = math.erf(threshold / math.sqrt(2))
    fresh = math.sqrt(2) * torch.erfinv((2 * share - 1) * within)
    return torch.where(z.abs() <= threshold, z, fresh.clamp(-threshold, threshold))
