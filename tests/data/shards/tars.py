"""Small images in tars, as WebDataset lays them out."""

import io
import json
import tarfile

import numpy as np
from PIL import Image


def pixels(number, size=8):
    """Returns uint8 [size, size, 3], different for each number."""
    return np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)


def encoded(number, size=8, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels(number, size)).save(file, kind)
    return file.getvalue()


def write_tar(path, members, mode="w"):
    """Writes a tar of (name, bytes)."""
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def samples(numbers, label=lambda number: number % 3, style="cls"):
    """Returns the members of one sample for each number."""
    members = []
    for number in numbers:
        members.append((f"{number:04d}.png", encoded(number)))
        if label is None:
            continue
        if style == "cls":
            members.append((f"{number:04d}.cls", str(label(number)).encode()))
        else:
            members.append((f"{number:04d}.json", json.dumps({"label": label(number)}).encode()))
    return members


def write_shards(folder, counts, prefix="train", **options):
    """Writes tars with consecutive images; returns a pattern for data.urls."""
    folder.mkdir(parents=True, exist_ok=True)
    start = 0
    for number, count in enumerate(counts):
        path = folder / f"{prefix}-{number:03d}.tar"
        write_tar(path, samples(range(start, start + count), **options))
        start += count
    return str(folder / f"{prefix}-*.tar")
