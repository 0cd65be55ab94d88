"""Detects nearly constant training images: training on black images raises no error."""

from __future__ import annotations

import torch
from torch import Tensor

FEW = 32  # fewer grey levels than this suggest a mask or a wrong value range
LOOKED_AT = 64  # images that are checked


def fault_of(images: Tensor) -> str | None:
    """Returns what is suspicious about training images; None if nothing is.

    Args:
        images: uint8 [N, C, H, W].
    """
    seen = torch.zeros(256, dtype=torch.bool)
    for image in images:
        seen[image.flatten().long()] = True
    levels = seen.nonzero().flatten().tolist()
    if len(levels) == 1:
        return f"every pixel of them is {levels[0]}"
    if len(images) > 1 and bool((images == images[:1]).all()):
        return "they are all the same image"
    if len(levels) < FEW:
        return f"they have {len(levels)} levels, from {levels[0]} to {levels[-1]} of 0 to 255"
    return None
