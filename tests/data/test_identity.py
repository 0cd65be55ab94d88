from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from ganforge.data.identity import differences_of
from ganforge.data.sets.folder import ImageFolder


def picture(path: Path, shade: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        Image.fromarray(np.linspace(0, shade, 64).reshape(8, 8).astype(np.uint16)).save(path)
        return
    Image.new(mode, (8, 8), shade).save(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    for place in range(8):
        picture(tmp_path / "old" / "ab"[place % 2] / f"{place}.png", 10 * place)
    return tmp_path / "old"


def identity(path: Path, **settings):
    data = ImageFolder(str(path), image_size=8, batch_size=2, holdout=0, **settings)
    data.setup()
    return data.identity()


def test_a_copy_elsewhere_is_the_same_in_memory_or_streamed(folder, tmp_path):
    then = identity(folder)
    copy = shutil.copytree(folder, tmp_path / "new")
    for file in copy.rglob("*.png"):
        os.utime(file, (1, 1))
    archive = shutil.make_archive(str(tmp_path / "new"), "zip", folder)
    assert differences_of(then, identity(copy)) is None
    assert differences_of(then, identity(copy, in_memory=False)) is None
    assert differences_of(then, identity(Path(archive))) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: picture(f / "a" / "9.png", 1), "9 training images, 8 before"),
        (lambda f: (f / "a" / "0.png").unlink(), "7 training images, 8 before"),
        (lambda f: picture(f / "a" / "0.png", 1), "8 .* as before, but different images"),
        (
            lambda f: (f / "a" / "0.png").rename(f / "b" / "0.png"),
            "different file names .*different labels",
        ),
        (lambda f: (f / "a").rename(f / "c"), "as before, but different file names"),
    ],
)
def test_what_changed_is_named(folder, change, message):
    then = identity(folder)
    change(folder)
    found = differences_of(then, identity(folder))
    assert found is not None
    assert re.search(message, found)


def test_another_range_is_other_data(tmp_path):
    for place in range(4):
        picture(tmp_path / f"{place}.png", 1000 + place, "I;16")
    then = identity(tmp_path, range=[0, 2000])
    found = differences_of(then, identity(tmp_path, range=[0, 4000]))
    assert found is not None
    assert "range" in found


def test_a_detected_range_equals_the_recorded_one(tmp_path):
    for place in range(4):
        picture(tmp_path / f"{place}.png", 60_000 + place, "I;16")
    settings = {"image_size": 8, "channels": 1, "batch_size": 2, "holdout": 0}
    first = ImageFolder(str(tmp_path), **settings)
    first.setup()
    kept = yaml.safe_load(yaml.safe_dump(first.range_found()))
    again = ImageFolder(str(tmp_path), range=kept, **settings)
    again.setup()
    assert first.range_found() is not None
    assert differences_of(first.identity(), again.identity()) is None


def test_a_smaller_part_of_the_images_is_other_data(folder):
    assert differences_of(identity(folder), identity(folder, max_images=4)) is not None
