"""Pictures embedded in a page as data URIs, within a limit on their total size."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganforge.callbacks.pictures.gif import evenly
from ganforge.regular_files import read_regular
from ganforge.report.markup import Attributes, Markup, element

QUALITY = 85  # of WebP, from 0 to 100
MIN_SIDE = 64  # pixels below which a picture is not shrunk further


@dataclass(frozen=True)
class Picture:
    """A picture embedded in a page.

    Attributes:
        source: the picture file.
        uri: the encoded picture as a ``data:`` URI.
        width: width in pixels.
        height: height in pixels.
    """

    source: Path
    uri: str
    width: int
    height: int

    def image(self, alt: str, attributes: Attributes | None = None) -> Markup:
        """Returns the ``img`` element."""
        size = {"width": self.width, "height": self.height}
        return element("img", {"src": self.uri, **size, "alt": alt, **(attributes or {})})


def encoded(path: Path, longest: int) -> Picture | None:
    """Returns a picture file encoded for a page: the original PNG, or WebP if that is smaller.

    Args:
        path: a file in any format that Pillow reads.
        longest: maximum pixels of the longer side.

    Returns:
        The picture; None if the file cannot be read, for example after a kill during its writing.
    """
    try:
        original = read_regular(path)  # a symlink could embed any file in the page
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(original))
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning):
        return None
    kind, shrunk = image.format, max(image.size) > longest
    picture = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if shrunk:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=QUALITY, method=4)
    body, mime = packed.getvalue(), "image/webp"
    if kind == "PNG" and not shrunk and len(original) <= len(body):
        body, mime = original, "image/png"
    return Picture(path, f"data:{mime};base64,{base64.b64encode(body).decode()}", *picture.size)


def fitting(paths: Sequence[Path], room: int, most: int, longest: int) -> list[Picture]:
    """Returns pictures that together take at most ``room`` bytes of a page.

    If there are too many, an evenly spaced subset is used, which always includes the last one. A
    single picture that is still too large is shrunk. Unreadable files are skipped.

    Args:
        paths: picture files in order.
        room: maximum total size in bytes.
        most: maximum number of pictures.
        longest: maximum pixels of a picture's longer side.
    """
    chosen = [paths[i] for i in evenly(len(paths), most)]
    pictures = [one for path in chosen if (one := encoded(path, longest)) is not None]
    while len(pictures) > 1 and sum(len(one.uri) for one in pictures) > room:
        pictures = pictures[::-1][::2][::-1]
    while pictures and len(pictures[0].uri) > room:
        longest //= 2
        smaller = encoded(pictures[0].source, longest) if longest >= MIN_SIDE else None
        pictures = [smaller] if smaller else []
    return pictures
