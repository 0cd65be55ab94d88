"""Class names next to the rows of a grid."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFont

from ganforge.callbacks.pictures.grid import PADDING
from ganforge.plain_text import one_line

_SIZE = 13  # font size in pixels; rows have at least 64
_WIDEST = 160
_GAP = 6


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
