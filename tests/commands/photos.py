"""Images of all kinds to translate, and what a translation wrote."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.data.drawings import BLUE, GREEN, RED, encoded, flat, halves, save


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def written(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def noise(height, width, channels=3):
    generator = np.random.default_rng(height * 100 + width)
    return generator.integers(0, 256, (height, width, channels), np.uint8)


def mixed(folder):
    """Draws a folder of all kinds; returns what each looks like in RGB."""
    truth = {}

    def add(name, image, shown=None, **options):
        save(folder / name, image, **options)
        truth[name] = np.asarray(image if shown is None else shown).astype(int)

    large, odd = Image.fromarray(noise(33, 70)), Image.fromarray(noise(7, 5))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    add("large.png", large)
    add("grey.png", flat(77, (9, 4), "L"), flat((77, 77, 77), (9, 4)))
    add("clear.png", flat((9, 9, 9, 0), (6, 6), "RGBA"), flat((255, 255, 255), (6, 6)))
    add("palette.gif", flat(RED, (10, 3)).quantize(4), flat(RED, (10, 3)))
    deep = Image.fromarray(np.full((5, 6), 200 * 257, np.uint16))
    add("deep.png", deep, flat((200, 200, 200), (6, 5)))
    turned = halves(RED, BLUE, (32, 16)).transpose(Image.Transpose.ROTATE_90)
    add("turned.jpg", turned, halves(RED, BLUE, (32, 16)), exif=exif, quality=100, subsampling=0)
    add("line.png", Image.fromarray(noise(40, 1)))
    add("pixel.bmp", flat(GREEN, (1, 1)))
    add("deeper/still/odd.png", odd)
    add("mit Leer und ü 写真.png", odd)
    add("twin.png", odd)
    add("twin.bmp", large)
    return truth


def damage(folder, name="broken.jpg"):
    data = encoded(Image.fromarray(noise(64, 64)), "JPEG")
    (folder / name).write_bytes(data[: len(data) // 2])
    (folder / "notes.txt").write_text("no image")
