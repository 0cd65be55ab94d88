"""Small image files for tests."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(path: Path, image: Image.Image, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def flat(color, size=(12, 12), mode="RGB") -> Image.Image:
    return Image.new(mode, size, color)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def halves(left, right, size=(12, 12)) -> Image.Image:
    image = flat(left, size)
    image.paste(right, (size[0] // 2, 0, *size))
    return image
