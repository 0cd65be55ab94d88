from __future__ import annotations

import torch
from torch import Tensor

from ganforge.streams import Noise


def cut_out(images: Tensor, noise: Noise, share: float) -> Tensor:
    """Sets a rectangle of each image to 0, mid-grey, with a side of ``share`` of the image's.

    DeVries & Taylor 2017, arXiv:1708.04552, as used by Zhao et al. 2020, arXiv:2006.10738: the
    rectangle's centre is uniform over the image, so that part of it may lie outside.

    Args:
        images: [B, C, H, W].
        noise: one row for each image.
        share: side of the rectangle, as a share of the image's side.
    """
    rows = _covered(images.shape[2], share, noise, images.device)
    columns = _covered(images.shape[3], share, noise, images.device)
    cut = rows[:, None, :, None] & columns[:, None, None, :]  # [B, 1, H, W]
    return images.masked_fill(cut, 0.0)


def _covered(side: int, share: float, noise: Noise, device: torch.device) -> Tensor:
    """Returns which of the ``side`` rows (or columns) the rectangle covers, bool [B, side]."""
    length = round(side * share)
    # An even length has its centre between two pixels: there is one place more for it.
    centre = noise.integers(side + 1 - length % 2)
    distance = torch.arange(side, device=device) - (centre - length // 2)[:, None]
    return (distance >= 0) & (distance < length)
