"""Pixel blitting and geometric transformations of Karras et al. 2020, arXiv:2006.06676, appendix B.

Blitting moves pixels without resampling: flips, quarter turns and shifts by whole pixels.

Each function draws for each image and returns [B, 3, 3] matrices that map a position of the result
to its source position, in pixels from the image's center, x to the right and y downwards.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from ganforge.streams import Noise

SCALE = 0.2  # standard deviation of log2 of a scale
SHIFT = 0.125  # standard deviation of a shift, as a fraction of the side
WHOLE_SHIFT = 0.125  # largest shift by whole pixels, as a fraction of the side


def blit(noise: Noise, p: Tensor, height: int, width: int) -> Tensor:
    """Returns the product of flip, quarter turn and whole shift, [B, 3, 3]."""
    return compose(flip(noise, p), quarter_turn(noise, p), whole_shift(noise, p, height, width))


def flip(noise: Noise, p: Tensor) -> Tensor:
    """Mirrors horizontally: with probability p, draws uniformly between mirrored and unchanged."""
    drawn = 1.0 - 2.0 * noise.integers(2)
    return matrix([[with_probability(p, noise, drawn, 1.0), 0, 0], [0, 1, 0], [0, 0, 1]])


def quarter_turn(noise: Noise, p: Tensor) -> Tensor:
    """Rotates by 0, 90, 180 or 270 degrees, drawn uniformly with probability p."""
    turns = with_probability(p, noise, noise.integers(4).float(), 0.0)
    # Sine and cosine by arithmetic: in floating point, those of pi / 2 are not exactly 1 and 0.
    even = 1.0 - turns % 2
    cosine, sine = even * (1.0 - turns), (1.0 - even) * (2.0 - turns)
    return matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def whole_shift(noise: Noise, p: Tensor, height: int, width: int) -> Tensor:
    """Shifts with probability p by whole pixels, up to an eighth of the side in each direction."""
    share = WHOLE_SHIFT * (2 * noise.uniform(2) - 1)
    chosen = with_probability(p, noise, torch.ones_like(share[:, 0]), 0.0)
    x, y = torch.round(share[:, 0] * width), torch.round(share[:, 1] * height)
    return matrix([[1, 0, -x * chosen], [0, 1, -y * chosen], [0, 0, 1]])


def deform(noise: Noise, p: Tensor, height: int, width: int) -> Tensor:
    """Returns the product of scaling, rotations, stretch and shift, [B, 3, 3].

    Images are rotated before and after stretching, each with probability 1 - sqrt(1 - p), so that
    at least one rotation occurs with probability p.
    """
    half = 1 - torch.sqrt(1 - p)
    return compose(
        scale(noise, p),
        turn(noise, half),
        stretch(noise, p),
        turn(noise, half),
        shift(noise, p, height, width),
    )


def scale(noise: Noise, p: Tensor) -> Tensor:
    """Scales isotropically by a log-normal factor, with probability p."""
    factor = with_probability(p, noise, torch.exp2(SCALE * noise.normal()), 1.0)
    return matrix([[1 / factor, 0, 0], [0, 1 / factor, 0], [0, 0, 1]])


def turn(noise: Noise, p: Tensor) -> Tensor:
    """Rotates by an angle from U[-pi, pi), with probability p."""
    angle = with_probability(p, noise, math.pi * (2 * noise.uniform() - 1), 0.0)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def stretch(noise: Noise, p: Tensor) -> Tensor:
    """Scales x by a log-normal factor and y by its inverse, with probability p."""
    factor = with_probability(p, noise, torch.exp2(SCALE * noise.normal()), 1.0)
    return matrix([[1 / factor, 0, 0], [0, factor, 0], [0, 0, 1]])


def shift(noise: Noise, p: Tensor, height: int, width: int) -> Tensor:
    """Shifts by normally distributed distances, not rounded to pixels, with probability p."""
    share = SHIFT * noise.normal(2)
    chosen = with_probability(p, noise, torch.ones_like(share[:, 0]), 0.0)
    x, y = share[:, 0] * width * chosen, share[:, 1] * height * chosen
    return matrix([[1, 0, -x], [0, 1, -y], [0, 0, 1]])


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
