"""Color transformations of Karras et al. 2020, arXiv:2006.06676, appendix B.

Colors (red, green, blue) have values in [-1, 1]. The luma axis is that of grays,
v = (1, 1, 1) / sqrt(3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def recolour(amounts: Tensor) -> Tensor:
    """Composes all changes of color into one affine transformation, [B, 3, 4].

    Brightness b is added first. Contrast c scales all colors, the luma flip is the Householder
    reflection I - 2 v v^T, the hue turns by an angle h around the luma axis, and saturation s
    scales across it. These treat the three colors alike, so they are circulant and commute:

        c * (l v v^T + s cos h (I - v v^T) + s sin h [v]x)  *  (x + b),  l = 1, or -1 if flipped

    Args:
        amounts: those of the colors, in the order of
            :data:`ganforge.augment.changes.COLOUR_ROWS`, [5, B].
    """
    brightness, flip, hue = amounts[:3]
    contrast, saturation = amounts[3:5].exp2().unbind()
    luma = 1 - flip
    cosine, sine = saturation * hue.cos(), saturation * hue.sin() / math.sqrt(3)
    along = (luma - cosine) / 3
    a, b, c, offset = along + cosine, along - sine, along + sine, luma * brightness
    rows = torch.stack([a, b, c, offset, c, a, b, offset, b, c, a, offset]) * contrast
    return rows.reshape(3, 4, -1).permute(2, 0, 1)


def apply_colours(images: Tensor, colours: Tensor) -> Tensor:
    """Returns images with each pixel's color mapped by its image's transformation.

    Three channels are red, green and blue; a fourth is not changed. With any other number, each
    channel is treated as gray: only its luma changes, hue and saturation have no effect.

    Args:
        images: [B, C, H, W] in [-1, 1].
        colours: [B, 3, 4].
    """
    mixed = colours[:, :, :, None, None]
    if images.shape[1] not in (3, 4):
        # A gray y is the color (y, y, y); the mean of the mapped color is the new gray.
        offset, factor = mixed[:, :, 3].mean(1, True), mixed[:, :, :3].sum(2).mean(1, True)
        return torch.addcmul(offset, images, factor)
    red, green, blue, *rest = torch.split(images, 1, 1)
    coloured = mixed[:, :, 3]
    for i, channel in enumerate((red, green, blue)):
        coloured = torch.addcmul(coloured, mixed[:, :, i], channel)
    return torch.cat([coloured, *rest], 1) if rest else coloured
