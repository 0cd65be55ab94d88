from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.images import with_channels

_GAIN = 0.5  # with this gain, an edge of half the value range is drawn in black


def edges(images: Tensor) -> Tensor:
    """Returns edge drawings of images, dark lines on white: uint8 [N, 1, H, W].

    The darkness is proportional to the gradient magnitude of the luma (Sobel and Feldman 1968).
    Gradients are computed in integers, so that drawings are the same on every machine.

    Args:
        images: uint8 [N, 1 or 3, H, W].
    """
    luma = with_channels(images, 1).float()
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate").to(torch.int32)
    across = _smoothed(padded[..., 2:] - padded[..., :-2], 2)
    down = _smoothed(padded[..., 2:, :] - padded[..., :-2, :], 3)
    length = (across.double().square() + down.double().square()).sqrt()
    return (255 - _GAIN * length).clamp(0, 255).round().to(torch.uint8)


def _smoothed(differences: Tensor, dim: int) -> Tensor:
    """Returns the (1, 2, 1)-weighted sum along a dimension, which becomes shorter by 2."""
    size = differences.shape[dim]
    before, middle, after = (differences.narrow(dim, start, size - 2) for start in range(3))
    return before + 2 * middle + after
