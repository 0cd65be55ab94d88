"""Batches of homogeneous matrices, one for each image.

Computed value by value, not by matrix products: those may round to half precision or TF32, and a
coordinate that is a thousandth off moves pixels.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from ganforge.streams import Noise


def matrix(rows: list[list[Tensor | float]]) -> Tensor:
    """Returns [B, n, n] of n rows with n entries each: tensors [B], or numbers for all images."""
    entries = [entry for row in rows for entry in row]
    like = next(entry for entry in entries if isinstance(entry, Tensor))
    columns = [e if isinstance(e, Tensor) else torch.full_like(like, e) for e in entries]
    return torch.stack(columns, -1).reshape(*like.shape, len(rows), len(rows))


def compose(*factors: Tensor) -> Tensor:
    """Returns the product of matrices [B, n, n] in the order of writing."""
    return reduce(lambda a, b: (a[..., :, :, None] * b[..., None, :, :]).sum(-2), factors)


def is_identity(matrices: Tensor) -> Tensor:
    """Returns which of [B, n, n] are exactly the identity, bool [B]."""
    identity = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
    return (matrices == identity).flatten(1).all(1)


def with_probability(p: Tensor, noise: Noise, drawn: Tensor, neutral: float) -> Tensor:
    """Returns ``drawn`` [B] with probability p, and else what changes nothing, for each image."""
    return torch.where(noise.uniform() < p, drawn, neutral)
