from __future__ import annotations

import importlib.util
import io
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from ganforge.data.files.encoded import LARGE_PIXELS, MAX_FILE_BYTES, read_whole, wait_for_slot
from ganforge.data.files.value_range import Span, is_deep, span_of
from ganforge.errors import DataError
from ganforge.plain_text import one_line

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Limit for images to train on or to score: decoding takes up to about 1 GB.
MAX_PIXELS = 100_000_000
# Limit for images to translate, which are held in memory whole, at about 16 bytes per pixel.
MAX_TRANSLATED_PIXELS = 2**30
# Only formats with decoders that start no other program: EPS would run Ghostscript.
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "DIB", "PPM", "WEBP", "TIFF", "JPEG2000"]
FORMATS += ["AVIF"] if importlib.util.find_spec("PIL.AvifImagePlugin") else []

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MIRRORED_X, _MIRRORED_Y = (2, 3, 7, 8), (3, 4, 6, 7)  # orientations that reverse columns, rows
_BITS, _SIGN = 258, 339  # TIFF's BitsPerSample and SampleFormat
_guard = threading.Lock()


def decode(
    data: bytes,
    image_size: int,
    channels: int,
    crop: int | None = None,
    span: Span | None = None,
    draft: bool = False,
) -> Tensor:
    """Returns uint8 [C, image_size, image_size] from an encoded image of any size and color mode.

    The image is rotated according to its EXIF orientation, cropped to the central square and
    resized with an antialiased filter. Transparent pixels are blended with white unless
    ``channels`` includes alpha.

    Args:
        data: an encoded image: PNG, JPEG, WebP, ...
        image_size: side of the result.
        channels: 1 gray, 2 gray with alpha, 3 RGB, 4 RGBA.
        crop: side of the central square before resizing; None for the shorter side of the image.
        span: value range of a 16-bit, 32-bit or float image; None for the range of the image.
        draft: decode a JPEG at 1/2, 1/4 or 1/8 of its size if the square then still has at least
            ``image_size`` pixels a side. This is faster, and changes pixels slightly.

    Raises:
        DataError: the image has more than ``MAX_PIXELS`` pixels.
        Exception: any exception that a decoder raises on damaged data.
    """
    if draft and data.startswith(_JPEG):
        return _drafted(data, image_size, channels, crop)
    return squared(upright(data), image_size, channels, crop, span)


def squared(
    image: Image.Image,
    image_size: int,
    channels: int,
    crop: int | None = None,
    span: Span | None = None,
) -> Tensor:
    """Returns uint8 [C, image_size, image_size] of the central square; see :func:`decode`."""
    image = in_mode(image, channels, span)
    side = min(image.size) if crop is None else min(crop, *image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Crop before resizing: the filter of `resize(box=...)` reads pixels outside of the box.
    image = image.crop((left, top, left + side, top + side))
    if side != image_size:
        image = image.resize((image_size, image_size), Image.Resampling.LANCZOS)
    return to_tensor(image)


def _drafted(data: bytes, image_size: int, channels: int, crop: int | None) -> Tensor:
    """Returns uint8 [C, image_size, image_size] of a JPEG, decoded at a fraction of its size."""
    with open_image(io.BytesIO(data)) as image:
        width, height = image.size
        side = min(image.size) if crop is None else min(crop, *image.size)
        share = min(image_size / side, 1.0)
        draft = image.draft(image.mode, (math.ceil(width * share), math.ceil(height * share)))
        scale = 1 if draft is None else round(width / draft[1][2])
        if scale == 1:
            return squared(upright(data), image_size, channels, crop)
        image.load()
        orientation = _orientation(image)
        whole = in_mode(image, channels)
    # The square of the full size that `squared` cuts after the rotation, in reduced pixels.
    left = _offset(width - side, orientation in _MIRRORED_X) / scale
    top = _offset(height - side, orientation in _MIRRORED_Y) / scale
    x, y, length = math.floor(left), math.floor(top), side / scale
    part = whole.crop((x, y, math.ceil(left + length), math.ceil(top + length)))
    box = (left - x, top - y, left - x + length, top - y + length)
    square = part.resize((image_size, image_size), Image.Resampling.LANCZOS, box)
    return to_tensor(square.transpose(_TURNS[orientation]) if orientation in _TURNS else square)


def _offset(rest: int, mirrored: bool) -> int:
    return rest - rest // 2 if mirrored else rest // 2


def upright(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Returns a decoded image in its own color mode, rotated according to its EXIF orientation.

    Raises:
        DataError: the image has more than ``max_pixels`` pixels.
        Exception: any exception that a decoder raises on damaged data.
    """
    try:
        return _upright(io.BytesIO(data), max_pixels)
    except DataError:
        raise
    except Exception:
        # Text chunks or color profiles may be damaged or exceed Pillow's limits: retry without.
        if data.startswith(_PNG):
            with suppress(Exception):
                return _upright(io.BytesIO(_without_metadata(data)), max_pixels)
        raise


def upright_size(file: BinaryIO) -> tuple[int, int]:
    """Returns the width and height of an encoded image after rotation by :func:`upright`."""
    return upright_header(file)[0]


def upright_header(file: BinaryIO) -> tuple[tuple[int, int], str]:
    """Returns the size of an encoded image after rotation by :func:`upright`, and its mode."""
    with file, _header(file) as opened:
        mode, (width, height) = opened.mode, opened.size
        turned = _orientation(opened) >= 5
    return (height, width) if turned else (width, height), mode


def mode_of(file: BinaryIO) -> str:
    """Returns the color mode of an encoded image, reading only its header."""
    with file, _header(file) as opened:
        return opened.mode


def stretched(
    image: Image.Image, image_size: int, channels: int, span: Span | None = None
) -> Tensor:
    """Returns uint8 [C, image_size, image_size] of the whole image, ignoring its aspect ratio.

    The filter is bicubic and antialiased, as in the preprocessing of Pix2Pix and CycleGAN.
    """
    image = in_mode(image, channels, span)
    if image.size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling.BICUBIC)
    return to_tensor(image)


def to_tensor(image: Image.Image) -> Tensor:
    """Returns an image in one of the ``MODES`` as uint8 [C, H, W]."""
    pixels = torch.from_numpy(np.array(image))
    return pixels.view(image.height, image.width, -1).permute(2, 0, 1).contiguous()


def in_mode(image: Image.Image, channels: int, span: Span | None = None) -> Image.Image:
    """Returns the image with 1 to 4 channels, blended with white unless they include alpha.

    Args:
        image: an image of any mode.
        channels: channels of the result.
        span: value range of a 16-bit, 32-bit or float image; None for the range of the image.
    """
    mode = MODES[channels]
    if is_deep(image.mode):
        image = (span or span_of(image)).grey(image)
    if image.has_transparency_data and not mode.endswith("A"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert(mode)


def reason_of(error: Exception) -> str:
    """Returns a one-line reason why an image cannot be read."""
    # Pillow appends the address of the buffer (" <_io.BytesIO ...>"): drop it.
    return one_line(str(error).split(" <")[0]) or type(error).__name__


@contextmanager
def open_image(file: BinaryIO, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Opens an encoded image without decoding its pixels.

    Raises:
        DataError: the image has more than ``max_pixels`` pixels.
    """
    # Pillow's own pixel limit is a global: disable it under a lock and check ours below.
    with _guard:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = before
    with image:
        pixels = image.width * image.height
        if pixels > max_pixels:
            raise DataError(
                f"is {image.width} x {image.height}, {pixels:,} pixels; the limit is {max_pixels:,}"
            )
        if pixels > LARGE_PIXELS:
            wait_for_slot()
        yield image


def _upright(file: BinaryIO, max_pixels: int) -> Image.Image:
    with open_image(file, max_pixels) as image:
        image.load()
        tags = getattr(image, "tag_v2", None)
        if (
            image.mode == "I"
            and tags
            and tags.get(_BITS) == (32,)
            and tags.get(_SIGN, (1,)) == (1,)
        ):
            # Unsigned 32-bit TIFF, which Pillow decodes as signed integers; see `values`.
            image.info["unsigned"] = True
        turn = _TURNS.get(_orientation(image))
        return image.copy() if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata; the pixels may be intact
        return 1


@contextmanager
def _header(file: BinaryIO) -> Iterator[Image.Image]:
    with ExitStack() as stack:
        try:
            image = stack.enter_context(open_image(file))
        except DataError:
            raise
        except Exception:
            file.seek(0)
            start = file.read(len(_PNG))
            if start != _PNG:
                raise
            rest = read_whole(file, MAX_FILE_BYTES, 2**12)
            image = stack.enter_context(open_image(io.BytesIO(_without_metadata(start + rest))))
        yield image


def _without_metadata(data: bytes) -> bytes:
    """Returns a PNG with only the chunks needed for its pixels and orientation."""
    parts, at = [_PNG], len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind in _PIXEL_CHUNKS:
            parts.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(parts)
