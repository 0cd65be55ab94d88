"""Images whose pixels encode their position."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor


def atlas(mark: int, size: int = 20) -> Image.Image:
    """Red is the column, green the row (steps of 4), blue the image's own mark."""
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[..., 0] = 4 * np.arange(size)
    pixels[..., 1] = 4 * np.arange(size)[:, None]
    pixels[..., 2] = mark
    return Image.fromarray(pixels)


def marks(images: Tensor) -> list[int]:
    """Returns the mark of each image, [B, 3, H, W]."""
    return images[:, 2, 0, 0].tolist()


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    joined = Image.new("RGB", (left.width + right.width, left.height))
    joined.paste(left, (0, 0))
    joined.paste(right, (left.width, 0))
    return joined
