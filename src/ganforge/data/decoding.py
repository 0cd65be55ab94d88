from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def decode(data: bytes, image_size: int, channels: int, crop: int | None = None) -> Tensor:
    """Returns uint8 [C, image_size, image_size] of an encoded image of any size and colour mode.

    It is turned upright by its EXIF orientation, cut to the central square, and resized with an
    antialiased filter; transparency is laid on white unless ``channels`` has alpha.

    Args:
        data: an encoded image: PNG, JPEG, WebP, ...
        image_size: side of the result.
        channels: 1 grey, 2 grey with alpha, 3 RGB, 4 RGBA.
        crop: side of the central square in the image's own pixels; None for its shorter side.

    Raises:
        Exception: of any kind, by the decoders, on damaged data.
    """
    return squared(upright(data), image_size, channels, crop)


def squared(image: Image.Image, image_size: int, channels: int, crop: int | None = None) -> Tensor:
    """Returns uint8 [C, image_size, image_size] of the central square; see :func:`decode`."""
    image = in_mode(image, channels)
    side = min(image.size) if crop is None else min(crop, *image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Cut first: a filter over a box of the whole image would reach beyond it.
    image = image.crop((left, top, left + side, top + side))
    if side != image_size:
        image = image.resize((image_size, image_size), Image.Resampling.LANCZOS)
    return to_tensor(image)


def upright(data: bytes) -> Image.Image:
    """Returns an encoded image in its own colour mode, turned by its EXIF orientation."""
    with Image.open(io.BytesIO(data)) as opened:
        return ImageOps.exif_transpose(opened)


def upright_size(file: BinaryIO) -> tuple[int, int]:
    """Returns the width and height of an encoded image as :func:`upright` turns it."""
    with file, Image.open(file) as opened:
        width, height = opened.size
        turned = opened.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (height, width) if turned else (width, height)


def stretched(image: Image.Image, image_size: int, channels: int) -> Tensor:
    """Returns uint8 [C, image_size, image_size] of the whole image, whatever its proportions.

    The filter is bicubic and antialiased, as in the preprocessing of Pix2Pix and CycleGAN.
    """
    image = in_mode(image, channels)
    if image.size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling.BICUBIC)
    return to_tensor(image)


def to_tensor(image: Image.Image) -> Tensor:
    """Returns uint8 [C, H, W] of an image of one of the ``MODES``."""
    pixels = torch.from_numpy(np.array(image))
    return pixels.view(image.height, image.width, -1).permute(2, 0, 1).contiguous()


def in_mode(image: Image.Image, channels: int) -> Image.Image:
    """Returns the image with 1 to 4 channels; transparency is laid on white unless they have it."""
    mode = MODES[channels]
    if image.mode.startswith("I"):  # 16 bits, of which a conversion would clip the upper half
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
    if image.has_transparency_data and not mode.endswith("A"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert(mode)
