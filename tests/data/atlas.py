"""Images whose pixels say where they are, and translation data made of them."""

from __future__ import annotations

import numpy as np
from PIL import Image


def atlas(mark: int, size: int = 20) -> Image.Image:
    """Red is the column, green the row (steps of 4), blue the image's own mark."""
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[..., 0] = 4 * np.arange(size)
    pixels[..., 1] = 4 * np.arange(size)[:, None]
    pixels[..., 2] = mark
    return Image.fromarray(pixels)


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    joined = Image.new("RGB", (left.width + right.width, left.height))
    joined.paste(left, (0, 0))
    joined.paste(right, (left.width, 0))
    return joined
