from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganforge import atomic
from ganforge.data.images import to_uint8
from ganforge.plain_text import one_line

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
PADDING = 2
CELL = 64  # minimum pixels of an image's longer side in a grid
_SIZE = 13  # font size in pixels; rows have at least 64
_WIDEST = 160
_GAP = 6


def picture(images: Tensor, columns: int | None = None) -> Image.Image:
    """Returns a grid of images, filled row by row.

    Small images are enlarged by an integer factor without interpolation. The images are separated
    and surrounded by two black pixels (transparent, if there is an alpha channel).

    Args:
        images: [N, C, H, W], uint8 in 0 ... 255 or floating in [-1, 1]; C is 1 (gray), 2 (gray and
            alpha), 3 (RGB) or 4 (RGB and alpha).
        columns: images per row; None makes the grid as square as possible.

    Raises:
        ValueError: if ``images`` has another shape.
    """
    if images.dim() != 4 or len(images) == 0 or images.shape[1] not in MODES:
        raise ValueError(f"images must be [N, C, H, W] with C in 1 ... 4; got {[*images.shape]}")
    pixels = to_uint8(images.detach()).cpu()
    factor = max(1, math.ceil(CELL / max(pixels.shape[2:])))
    pixels = pixels.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    tiled = _tile(pixels, columns or math.ceil(math.sqrt(len(pixels)))).contiguous()
    array = tiled.squeeze(2).numpy() if tiled.shape[2] == 1 else tiled.numpy()
    return Image.fromarray(array)


def by_class(images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, int]:
    """Returns images sorted into one row per class, and the number of columns.

    Short rows are padded with black images (transparent, if there is an alpha channel).

    Args:
        images: [N, C, H, W], uint8 in 0 ... 255 or floating in [-1, 1].
        labels: [N]; images with a label outside 0 ... classes - 1 are dropped.
        classes: number of rows.
    """
    rows = [to_uint8(images)[labels == label] for label in range(classes)]
    columns = max(1, max(len(row) for row in rows))
    sorted_images = rows[0].new_zeros(classes, columns, *images.shape[1:])
    for target, row in zip(sorted_images, rows, strict=True):
        target[: len(row)] = row
    return sorted_images.flatten(0, 1), columns


def single(image: Tensor) -> Image.Image:
    """Returns a PIL image of [C, H, W], uint8 or floating in [-1, 1], without resizing."""
    pixels = to_uint8(image.detach()).cpu().permute(1, 2, 0).contiguous()
    return Image.fromarray(pixels.squeeze(2).numpy() if pixels.shape[2] == 1 else pixels.numpy())


def save(image: Image.Image, path: Path, durable: bool = True) -> None:
    """Writes ``image`` as a PNG atomically; see :func:`ganforge.atomic.writing`."""
    data = io.BytesIO()
    image.save(data, format="PNG")
    atomic.replace(path, data.getvalue(), durable)


def _tile(pixels: Tensor, columns: int) -> Tensor:
    """Returns the padded grid [height, width, C] of uint8 images [N, C, H, W]."""
    count, channels, height, width = pixels.shape
    rows = math.ceil(count / columns)
    down, right = height + PADDING, width + PADDING
    canvas = pixels.new_zeros(rows * down + PADDING, columns * right + PADDING, channels)
    for index, image in enumerate(pixels.permute(0, 2, 3, 1)):
        top = PADDING + index // columns * down
        left = PADDING + index % columns * right
        canvas[top : top + height, left : left + width] = image
    return canvas


def label_rows(grid: Image.Image, names: list[str]) -> Image.Image:
    """Returns ``grid`` with the name of each row in a column on the left.

    Args:
        grid: a grid from :func:`ganforge.callbacks.pictures.grid.picture`.
        names: names of the rows, from the top; if empty, the grid is returned unchanged.
    """
    if not names:
        return grid
    font = ImageFont.load_default(_SIZE)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow was built without FreeType
        return grid
    texts = [_fitted(_drawable(name, row), font) for row, name in enumerate(names)]
    column = math.ceil(max(font.getlength(text) for text in texts)) + 2 * _GAP
    canvas = Image.new(grid.mode, (column + grid.width, grid.height), "black")
    canvas.paste(grid, (column, 0))
    draw = ImageDraw.Draw(canvas)
    height = (grid.height - PADDING) / len(texts)
    for row, text in enumerate(texts):
        position = (column - _GAP, PADDING / 2 + (row + 0.5) * height)
        draw.text(position, text, fill="white", font=font, anchor="rm")
    return canvas


def _drawable(name: str, row: int) -> str:
    """Returns the name, or ``class <row>`` if the font lacks its characters."""
    text = one_line(name)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return f"class {row}"
    return text or f"class {row}"


def _fitted(text: str, font: ImageFont.FreeTypeFont) -> str:
    if font.getlength(text) <= _WIDEST:
        return text
    while text and font.getlength(f"{text}...") > _WIDEST:
        text = text[:-1]
    return f"{text}..."
