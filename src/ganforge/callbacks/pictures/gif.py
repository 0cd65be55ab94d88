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


def write_gif(pictures: Sequence[Path], path: Path) -> None:
    """Writes an animated GIF of ``pictures``, with at most 60 frames of at most 768 pixels.

    If there are more than 60 pictures, 60 evenly spaced ones are used, including the first and the
    last.

    Args:
        pictures: PNG files in order. If their sizes differ, as in a resumed run that was started
            before rows had names, all are cropped to the smallest size at the left and the bottom.
        path: the GIF, written atomically.
    """
    chosen = [pictures[i] for i in evenly(len(pictures), FRAMES)]
    if not chosen:
        return
    sizes = [_size(source) for source in chosen]
    size = min(width for width, _ in sizes), min(height for _, height in sizes)
    frames = [_frame(source, size) for source in chosen]
    durations = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    data = io.BytesIO()
    options = {"append_images": frames[1:], "duration": durations, "loop": 0}
    frames[0].save(data, format="GIF", save_all=True, **options)
    atomic.replace(path, data.getvalue())


def evenly(count: int, most: int) -> list[int]:
    """Returns at most ``most`` evenly spaced indices of 0 ... count - 1, including both ends.

    If ``most`` is 1, the only index is the last one.
    """
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _size(source: Path) -> tuple[int, int]:
    with Image.open(source) as image:
        return image.size


def _frame(source: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(source) as opened:
        left = opened.width - size[0]
        image = opened.crop((left, 0, opened.width, size[1]))
        # GIF has no partial transparency, so transparent pixels are blended with white.
        frame = image.convert("RGBA" if "A" in image.mode else "RGB")
    if frame.mode == "RGBA":
        frame = Image.alpha_composite(Image.new("RGBA", frame.size, "white"), frame).convert("RGB")
    if max(frame.size) > SIDE:
        scale = SIDE / max(frame.size)
        frame = frame.resize((round(frame.width * scale), round(frame.height * scale)))
    return frame.quantize(256)
