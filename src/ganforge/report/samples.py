"""Grids of samples over the course of training, next to real images."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ganforge.callbacks.pictures.gif import evenly
from ganforge.regular_files import read_regular
from ganforge.report.charts.history import History
from ganforge.report.markup import Attributes, Markup, Named, element, join, note

MAX_GRIDS = 60
MAX_SIDE = 1024  # maximum pixels of a grid's longer side
REAL_SHARE = 0.25  # maximum fraction of the room for real images
QUALITY = 85  # of WebP, from 0 to 100
MIN_SIDE = 64  # pixels below which a picture is not shrunk further


@dataclass(frozen=True)
class Slides:
    """Grids of samples for a slider.

    Attributes:
        pictures: the embedded grids, ordered by step.
        reals: grid of real images; None if the run has none.
        total: number of sample grids in the run folder.
    """

    pictures: list[Picture]
    reals: Picture | None
    total: int

    @classmethod
    def read(cls, run: Path, room: int) -> Slides:
        """Reads the grids of a run folder, with at most ``room`` bytes in total."""
        paths = grids(run)
        real = fitting([run / "samples" / "reals.png"], int(room * REAL_SHARE), 1, MAX_SIDE)
        left = room - sum(len(one.uri) for one in real)
        return cls(fitting(paths, left, MAX_GRIDS, MAX_SIDE), real[0] if real else None, len(paths))

    @property
    def size(self) -> int:
        """Total size of all pictures in bytes."""
        reals = [self.reals] if self.reals is not None else []
        return sum(len(one.uri) for one in [*self.pictures, *reals])


def grids(run: Path) -> list[Path]:
    """Returns the files of a run's sample grids, ordered by step."""
    return sorted(
        (path for path in (run / "samples").glob("step_*.png") if step_of(path) >= 0), key=step_of
    )


def step_of(path: Path) -> int:
    """Returns the step of a grid from its file name; -1 for other files."""
    number = path.stem.removeprefix("step_")
    return int(number) if number.isdecimal() and number.isascii() else -1


def last_grid(run: Path, longest: int) -> Picture | None:
    """Returns the last readable grid of a run; None if there is none."""
    for path in reversed(grids(run)):
        if (picture := encoded(path, longest)) is not None:
            return picture
    return None


def slider(slides: Slides, history: History, evaluations: list[dict[str, Any]]) -> Markup:
    """Returns the grids with a slider over their steps, next to the real images.

    Captions contain the images seen, from ``history``, and the scores of ``evaluations``.
    """
    if not slides.pictures:
        why = "could be read or fits into the page" if slides.total else "was saved"
        return join(note(f"No grid of samples {why}."), _reals(slides.reals))
    stepped = [point for point in evaluations if isinstance(point.get("step"), (int, float))]
    scores = {int(point["step"]): point for point in stepped}
    captions = [_caption(step_of(one.source), history, scores) for one in slides.pictures]
    frames = [
        one.image(
            f"Grid of generated images at {caption}",
            {"data-caption": caption, "hidden": one is not slides.pictures[-1]},
        )
        for one, caption in zip(slides.pictures, captions, strict=True)
    ]
    last = element("figcaption", {"id": "grid-caption", "aria-live": "polite"}, captions[-1])
    grid = element("figure", {"class": "frames"}, element("h3", None, "Generated"), *frames, last)
    pair = element("div", {"class": "pair"}, grid, _reals(slides.reals))
    return join(_control(captions), pair, note(_bounds(slides)))


def _control(captions: list[str]) -> Markup:
    last = len(captions) - 1
    slider: Named = {
        "type": "range",
        "id": "grid-slider",
        "min": 0,
        "max": last,
        "value": last,
        "step": 1,
        "aria-valuetext": captions[-1],
        "disabled": last == 0,
    }
    label = element("label", {"for": "grid-slider"}, "Training")
    play = element("button", {"type": "button", "id": "grid-play"}, "Play")
    return element("p", {"class": "slide needs-script"}, label, element("input", slider), play)


def _reals(picture: Picture | None) -> Markup:
    if picture is None:
        return note("The run has no grid of real images.")
    title, caption = element("h3", None, "Real"), element("figcaption", None, "data")
    image = picture.image("Grid of real images")
    return element("figure", {"class": "frames"}, title, image, caption)


def _caption(step: int, history: History, scores: Mapping[int, Mapping[str, Any]]) -> str:
    parts = [f"step {step:,}"]
    values = scores.get(step, {})
    images = history.images.get(step, values.get("images_seen"))
    if isinstance(images, (int, float)):
        parts.append(f"{images:,.0f} images seen")
    parts += [
        f"{name} {value:.4g}"
        for name, value in values.items()
        if name not in ("step", "images_seen") and isinstance(value, (int, float))
    ]
    return " · ".join(parts)


def _bounds(slides: Slides) -> str:
    count = f"{len(slides.pictures)} of the {slides.total} grids of the run"
    if len(slides.pictures) < slides.total:
        count += ", evenly spaced, to limit the size of the page"
    return (
        f"{count}; at most {MAX_SIDE} pixels wide or high, and WebP of quality {QUALITY} where "
        "that is smaller. All use the same latents or inputs. The files in the run folder are "
        "exact."
    )


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
