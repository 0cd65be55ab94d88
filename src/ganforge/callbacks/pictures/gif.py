from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ganforge import atomic

FRAMES = 60
SIDE = 768
FRAME_MILLISECONDS = 120
LAST_MILLISECONDS = 2000


def film(pictures: Sequence[Path], path: Path) -> None:
    """Makes an animated GIF of ``pictures``, bounded in frames and pixels.

    Of more than 60 pictures, 60 evenly spaced ones are taken, the first and the last among them.

    Args:
        pictures: PNG files in order. Where sizes differ, as when a run from before rows had names
            is resumed, all are cut to the smallest at their left and bottom.
        path: the GIF, written whole or not at all.
    """
    chosen = _evenly(pictures, FRAMES)
    if not chosen:
        return
    sizes = [_size(source) for source in chosen]
    size = min(width for width, _ in sizes), min(height for _, height in sizes)
    frames = [_frame(source, size) for source in chosen]
    durations = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    data = io.BytesIO()
    frames[0].save(
        data,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
    )
    atomic.replace(path, data.getvalue())


def _evenly(pictures: Sequence[Path], most: int) -> list[Path]:
    if len(pictures) <= most:
        return list(pictures)
    return [pictures[round(i * (len(pictures) - 1) / (most - 1))] for i in range(most)]


def _size(source: Path) -> tuple[int, int]:
    with Image.open(source) as image:
        return image.size


def _frame(source: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(source) as opened:
        left = opened.width - size[0]
        image = opened.crop((left, 0, opened.width, size[1]))
        # GIF has no half-transparent pixels: what is transparent is shown on white
        shown = image.convert("RGBA" if "A" in image.mode else "RGB")
    if shown.mode == "RGBA":
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    if max(shown.size) > SIDE:
        scale = SIDE / max(shown.size)
        shown = shown.resize((round(shown.width * scale), round(shown.height * scale)))
    return shown.quantize(256)
