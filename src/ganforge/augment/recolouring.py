"""Color transformations of Karras et al. 2020, arXiv:2006.06676, appendix B.

Each function draws for each image and returns [B, 4, 4] matrices that map a color (red, green,
blue, 1) with values in [-1, 1] to another. The luma axis is that of grays, v = (1, 1, 1) / sqrt(3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganforge.augment.geometric import compose, matrix, with_probability
from ganforge.streams import Noise

BRIGHTNESS = 0.2  # standard deviation of the offset
CONTRAST = 0.5  # standard deviation of log2 of the factor
SATURATION = 1.0  # standard deviation of log2 of the factor


def recolour(noise: Noise, p: Tensor) -> Tensor:
    """Returns the product of all changes of this module, [B, 4, 4]; brightness is applied first."""
    changes = [
        brightness(noise, p),
        contrast(noise, p),
        luma_flip(noise, p),
        hue_rotation(noise, p),
        saturation(noise, p),
    ]
    return compose(*reversed(changes))  # the rightmost matrix is applied first


def brightness(noise: Noise, p: Tensor) -> Tensor:
    """Adds a normally distributed number to all three colors, with probability p."""
    b = with_probability(p, noise, BRIGHTNESS * noise.normal(), 0.0)
    return matrix([[1, 0, 0, b], [0, 1, 0, b], [0, 0, 1, b], [0, 0, 0, 1]])


def contrast(noise: Noise, p: Tensor) -> Tensor:
    """Multiplies all three colors by a log-normal factor, with probability p."""
    c = with_probability(p, noise, torch.exp2(CONTRAST * noise.normal()), 1.0)
    return matrix([[c, 0, 0, 0], [0, c, 0, 0], [0, 0, c, 0], [0, 0, 0, 1]])


def luma_flip(noise: Noise, p: Tensor) -> Tensor:
    """Inverts the luma and keeps the hue: with probability p, inverts or not at random.

    The inversion is the Householder reflection I - 2 v v^T.
    """
    i = with_probability(p, noise, noise.integers(2).float(), 0.0)
    return _circulant(1 - 2 * i / 3, -2 * i / 3, -2 * i / 3)


def hue_rotation(noise: Noise, p: Tensor) -> Tensor:
    """Rotates colors around the luma axis by an angle from U[-pi, pi), with probability p."""
    angle = with_probability(p, noise, math.pi * (2 * noise.uniform() - 1), 0.0)
    cosine, sine = torch.cos(angle), torch.sin(angle) / math.sqrt(3)
    along = (1 - cosine) / 3
    return _circulant(cosine + along, along - sine, along + sine)


def saturation(noise: Noise, p: Tensor) -> Tensor:
    """Multiplies the distance from the luma axis by a log-normal factor, with probability p."""
    s = with_probability(p, noise, torch.exp2(SATURATION * noise.normal()), 1.0)
    along = (1 - s) / 3
    return _circulant(along + s, along, along)


def apply_colours(images: Tensor, colours: Tensor) -> Tensor:
    """Returns images with each pixel's color mapped by its image's matrix.

    Three channels are red, green and blue; a fourth is not changed. With any other number, each
    channel is treated as gray: only its luma changes, hue and saturation have no effect.

    Args:
        images: [B, C, H, W] in [-1, 1].
        colours: [B, 4, 4].
    """
    mixed = colours[:, :3, :, None, None]
    if images.shape[1] not in (3, 4):
        # A gray y is the color (y, y, y); the mean of the mapped color is the new gray.
        return images * mixed[:, :, :3].sum(2).mean(1, True) + mixed[:, :, 3].mean(1, True)
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    coloured = mixed[:, :, 0] * red + mixed[:, :, 1] * green + mixed[:, :, 2] * blue
    return torch.cat([coloured + mixed[:, :, 3], images[:, 3:]], 1)


def _circulant(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Returns circulant [B, 4, 4] matrices, which treat the three colors alike."""
    return matrix([[a, b, c, 0], [c, a, b, 0], [b, c, a, 0], [0, 0, 0, 1]])
