"""Batches of homogeneous matrices, one per image.

Products are computed elementwise, not with matmul, which may round to half precision or TF32: a
relative error of 1e-3 in a coordinate already moves pixels.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from ganforge.streams import Noise


def matrix(rows: list[list[Tensor | float]]) -> Tensor:
    """Returns [B, n, n] from n rows of n entries: tensors [B], or numbers for all images."""
    entries = [entry for row in rows for entry in row]
    like = next(entry for entry in entries if isinstance(entry, Tensor))
    columns = [e if isinstance(e, Tensor) else torch.full_like(like, e) for e in entries]
    return torch.stack(columns, -1).reshape(*like.shape, len(rows), len(rows))


def compose(*factors: Tensor) -> Tensor:
    """Returns the product of matrices [B, n, n], from left to right."""
    return reduce(lambda a, b: (a[..., :, :, None] * b[..., None, :, :]).sum(-2), factors)


def is_identity(matrices: Tensor) -> Tensor:
    """Returns a mask of the matrices [B, n, n] that are exactly the identity, bool [B]."""
    identity = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
    return (matrices == identity).flatten(1).all(1)


def with_probability(p: Tensor, noise: Noise, drawn: Tensor, neutral: float) -> Tensor:
    """Returns ``drawn`` [B] with probability p, else ``neutral``, independently for each image."""
    return torch.where(noise.uniform() < p, drawn, neutral)
