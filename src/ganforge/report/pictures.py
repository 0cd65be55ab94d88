"""Pictures within a page: as data, and no more of them than there is room for."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganforge.regular_files import read_regular

QUALITY = 85  # of WebP, from 0 to 100
LEAST = 64  # pixels below which a picture is not made smaller


@dataclass(frozen=True)
class Picture:
    """A picture as a page holds it.

    Attributes:
        source: the file that it was made of.
        uri: all of it, as an address of the scheme ``data``.
        width: pixels.
        height: pixels.
    """

    source: Path
    uri: str
    width: int
    height: int


def encoded(path: Path, longest: int) -> Picture | None:
    """Returns a picture file as a page holds it: as it is, or as WebP where that is smaller.

    Args:
        path: any picture that Pillow reads.
        longest: pixels of its longer side, at most.

    Returns:
        None for a file that can't be read, such as one that a kill has torn.
    """
    try:
        original = read_regular(path)  # no link to a picture of the user's own
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(original))
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning):
        return None
    kind, shrunk = image.format, max(image.size) > longest
    shown = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if shrunk:
        shown.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    shown.save(packed, "WEBP", quality=QUALITY, method=4)
    body, mime = packed.getvalue(), "image/webp"
    if kind == "PNG" and not shrunk and len(original) <= len(body):
        body, mime = original, "image/png"
    return Picture(path, f"data:{mime};base64,{base64.b64encode(body).decode()}", *shown.size)


def fitting(paths: Sequence[Path], room: int, most: int, longest: int) -> list[Picture]:
    """Returns pictures that together take no more than ``room`` bytes of a page.

    Some, evenly apart, stand for all where there are too many: the last one always does. Files that
    can't be read are passed over.

    Args:
        paths: picture files, in their order.
        room: bytes of the page.
        most: how many, at most.
        longest: pixels of a picture's longer side, at most.
    """
    chosen = [paths[place] for place in evenly(len(paths), most)]
    pictures = [one for path in chosen if (one := encoded(path, longest)) is not None]
    while len(pictures) > 1 and sum(len(one.uri) for one in pictures) > room:
        pictures = pictures[::-1][::2][::-1]
    while pictures and len(pictures[0].uri) > room:
        longest //= 2
        smaller = encoded(pictures[0].source, longest) if longest >= LEAST else None
        pictures = [smaller] if smaller else []
    return pictures


def evenly(count: int, most: int) -> list[int]:
    """Returns at most ``most`` places of 0 ... count - 1, evenly apart, both ends among them."""
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]
