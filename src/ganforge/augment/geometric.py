"""Pixel blitting and geometric transformations of Karras et al. 2020, arXiv:2006.06676, appendix B.

Blitting moves pixels without resampling: flips, quarter turns and shifts by whole pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Cosine and sine of 0, 90, 180 and 270 degrees: in floating point, computed ones are not exact.
QUARTERS = ((1, 0), (0, 1), (-1, 0), (0, -1))


class Movements(nn.Module):
    """Composes all movements of an image into one affine transformation.

    It leads from a position of the result to its source position, in pixels from the image's
    center, x to the right and y downwards:

        flip * quarter turn * whole shift * scale * turn * stretch * turn * shift

    Images are rotated before and after stretching. The shift is not rounded to pixels.
    """

    symmetries: Tensor
    identity: Tensor

    def __init__(self) -> None:
        super().__init__()
        # The 8 symmetries of the square: 4 f + k for f flips after k quarter turns.
        flips = [[[f * c, -f * s], [s, c]] for f in (1, -1) for c, s in QUARTERS]
        self.register_buffer("symmetries", torch.tensor(flips).float(), persistent=False)
        self.register_buffer("identity", torch.eye(2, 3), persistent=False)

    def forward(self, amounts: Tensor, height: int, width: int) -> Tensor:
        """Returns the transformations, [B, 2, 3]; of images that do not move, exactly (I | 0).

        Args:
            amounts: those of the movements, in the order of
                :data:`ganforge.augment.changes.MOVEMENT_ROWS`, [10, B].
            height: height of the images in pixels.
            width: width of the images in pixels.
        """
        flip, quarters = amounts[:2]
        shares = amounts[2:6]
        shifts = torch.stack([shares[0::2] * width, shares[1::2] * height], 1)  # [2, xy, B]
        scale, stretch = amounts[6:8]
        first, second = rotations(amounts[8:10])
        factors = torch.stack([scale + stretch, scale - stretch]).exp2()
        deformed = product(first * factors, second)
        shift = (deformed * shifts[1]).sum(1) + shifts[0].round()
        affine = torch.cat([deformed, shift[:, None]], 1)
        symmetry = self.symmetries.index_select(0, torch.add(quarters, flip, alpha=4).long())
        return product(symmetry.permute(1, 2, 0), affine).permute(2, 0, 1)

    def unmoved(self, origins: Tensor) -> Tensor:
        """Returns a mask of the transformations [B, 2, 3] that are exactly (I | 0), bool [B]."""
        return (origins == self.identity).flatten(1).all(1)


def rotations(angles: Tensor) -> tuple[Tensor, ...]:
    """Returns the rotations [2, 2, B] by each row of angles, [n, B] in radians."""
    cosine, sine = angles.cos(), angles.sin()
    return torch.stack([cosine, -sine, sine, cosine]).reshape(2, 2, *angles.shape).unbind(2)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Returns the products [n, k, B] of matrices [n, m, B] and [m, k, B].

    In full precision: matrix products of a GPU may round to TensorFloat-32.
    """
    return (a[:, :, None] * b).sum(1)
