from __future__ import annotations

import torch
from torch import Tensor

from ganforge.streams import Noise


def cut_out(images: Tensor, noise: Noise, share: float) -> Tensor:
    """Sets a rectangle of each image to 0 (mid-grey), with sides of ``share`` times the image's.

    DeVries & Taylor 2017, arXiv:1708.04552, as used by Zhao et al. 2020, arXiv:2006.10738: the
    rectangle's centre is uniform over the image, so part of it may be outside.

    Args:
        images: [B, C, H, W].
        noise: random draws, one row per image.
        share: side of the rectangle, as a fraction of the image's side.
    """
    rows = _covered(images.shape[2], share, noise, images.device)
    columns = _covered(images.shape[3], share, noise, images.device)
    cut = rows[:, None, :, None] & columns[:, None, None, :]  # [B, 1, H, W]
    return images.masked_fill(cut, 0.0)


def _covered(side: int, share: float, noise: Noise, device: torch.device) -> Tensor:
    """Returns a mask of the rows (or columns) that the rectangle covers, bool [B, side]."""
    length = round(side * share)
    # An even length has its centre between two pixels, which gives one more possible position.
    centre = noise.integers(side + 1 - length % 2)
    distance = torch.arange(side, device=device) - (centre - length // 2)[:, None]
    return (distance >= 0) & (distance < length)
