from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.errors import require
from ganforge.streams import Noise

PADDINGS = {"replicate": "replicate", "zeros": "constant"}  # our names: PyTorch's names


def translate(images: Tensor, noise: Noise, share: float, padding: str = "replicate") -> Tensor:
    """Shifts each image by whole pixels, up to ``share`` of its side, uniformly in each direction.

    The translation of Zhao et al. 2020, arXiv:2006.10738. Differentiable: every pixel is copied
    from one pixel.

    Args:
        images: [B, C, H, W].
        noise: random draws, one row per image.
        share: largest shift, as a fraction of the side.
        padding: values outside of the image. "replicate" repeats the border, which extends a plain
            background; "zeros" is mid-gray, as in the paper.
    """
    _, _, height, width = images.shape
    down, right = round(height * share), round(width * share)
    top = noise.integers(2 * down + 1)
    left = noise.integers(2 * right + 1)
    padded = F.pad(images, (right, right, down, down), mode=PADDINGS[padding])
    rows = top[:, None] + torch.arange(height, device=images.device)  # [B, H]
    columns = left[:, None] + torch.arange(width, device=images.device)  # [B, W]
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    # Indexing puts the channels last: [B, H, W, C].
    return padded[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def check_padding(owner: str, padding: str) -> None:
    """Raises ConfigError unless ``padding`` is a mode of :func:`translate`."""
    options = " or ".join(PADDINGS)
    require(padding in PADDINGS, f"{owner}: padding must be {options}, got {padding!r}")
