"""General geometric transformations of Karras et al. 2020, arXiv:2006.06676, appendix B.

Each function draws for each image and returns [B, 3, 3]: where a position of the result comes from,
in pixels from the image's centre, x to the right and y downwards.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganforge.augment.homogeneous import compose, matrix, with_probability
from ganforge.streams import Noise

SCALE = 0.2  # deviation of the binary logarithm of a scale
SHIFT = 0.125  # deviation of a shift, as a share of the side


def deform(noise: Noise, p: Tensor, height: int, width: int) -> Tensor:
    """Returns all of them, one after the other, [B, 3, 3].

    It is turned before and after it is stretched, each with a probability that makes it p for at
    least one of the two.
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
    """Scales both directions alike, by a log-normal factor."""
    factor = with_probability(p, noise, torch.exp2(SCALE * noise.normal()), 1.0)
    return matrix([[1 / factor, 0, 0], [0, 1 / factor, 0], [0, 0, 1]])


def turn(noise: Noise, p: Tensor) -> Tensor:
    """Turns by any angle."""
    angle = with_probability(p, noise, math.pi * (2 * noise.uniform() - 1), 0.0)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def stretch(noise: Noise, p: Tensor) -> Tensor:
    """Scales one direction by a log-normal factor and the other by its inverse."""
    factor = with_probability(p, noise, torch.exp2(SCALE * noise.normal()), 1.0)
    return matrix([[1 / factor, 0, 0], [0, factor, 0], [0, 0, 1]])


def shift(noise: Noise, p: Tensor, height: int, width: int) -> Tensor:
    """Shifts by fractions of pixels, normally distributed."""
    share = SHIFT * noise.normal(2)
    chosen = with_probability(p, noise, torch.ones_like(share[:, 0]), 0.0)
    x, y = share[:, 0] * width * chosen, share[:, 1] * height * chosen
    return matrix([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
