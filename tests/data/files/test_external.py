"""External images are read the same from files, archives and arrays."""

import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.data.files.external import common_size, open_images
from ganforge.errors import ConfigError, DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
EXPECTED = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
ALL = torch.arange(3)


def png(pixels):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def folder(path, images):
    path.mkdir()
    for place, pixels in enumerate(images):
        (path / f"{place}.png").write_bytes(png(pixels))
    return path


def arrays(path, **named):
    np.savez_compressed(path, **named)
    return path


def read(path, size=4, channels=3):
    given = open_images(str(path), "fake")
    return given.source(size, channels).read(torch.arange(len(given)))


def test_pixels_arrive_as_they_are(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for place, pixels in enumerate(PIXELS):
            archive.writestr(f"some/{place}.png", png(pixels))
    for path in (
        folder(tmp_path / "images", PIXELS),
        tmp_path / "images.zip",
        arrays(tmp_path / "images.npz", images=PIXELS, labels=np.arange(3)),
        arrays(tmp_path / "guided.npz", arr_0=PIXELS),
    ):
        assert torch.equal(read(path), EXPECTED), path


def test_grey_and_transparency_are_the_same_wherever_they_come_from(tmp_path):
    clear = np.concatenate([PIXELS, np.full((3, 4, 4, 1), 51, np.uint8)], -1)
    for name, images in (("grey", PIXELS[..., 0]), ("clear", clear)):
        files = read(folder(tmp_path / name, images))
        array = read(arrays(tmp_path / f"{name}.npz", images=images))
        assert torch.equal(files, array)
    # Alpha of 51 / 255 leaves a fifth of the color over four fifths of white.
    assert (files.float() - (EXPECTED / 5 + 204)).abs().max() <= 1
    grey = open_images(str(tmp_path / "grey"), "fake")
    assert grey.grey
    assert torch.equal(grey.source(4, 1).read(ALL)[:, 0], EXPECTED[:, 0])
    assert not open_images(str(tmp_path / "clear.npz"), "fake").grey


def test_different_sizes_need_image_size(tmp_path):
    wide = np.zeros((2, 4, 8, 3), np.uint8)
    wide[:, :, 2:6] = 9
    sets = {
        "fake": open_images(str(folder(tmp_path / "a", PIXELS)), "fake"),
        "real": open_images(str(arrays(tmp_path / "b.npz", images=wide)), "real"),
    }
    with pytest.raises(ConfigError, match=r"fake: 4x4; real: 8x4\). Set image_size=N"):
        common_size(sets, None)
    assert common_size({"fake": sets["fake"]}, None) == 4
    assert common_size(sets, 2) == 2
    # The central square alone, of which a resize keeps the constant.
    assert (sets["real"].source(2, 3).read(torch.arange(2)) == 9).all()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"points": np.zeros((5, 2), np.float32)}, "2D points are not images"),
        ({"images": np.zeros((5, 4, 4, 3), np.float32)}, "must be uint8"),
        ({"images": np.zeros((5, 3, 4, 5), np.uint8)}, "C of 1, 2, 3 or 4"),
        ({"images": PIXELS[:1]}, "at least 2 images, got 1"),
        ({"images": PIXELS[:0]}, "at least 2 images, got 0"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, named, message):
    with pytest.raises(DataError, match=message):
        open_images(str(arrays(tmp_path / "x.npz", **named)), "fake")


def test_missing_and_damaged_paths_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    broken = folder(tmp_path / "broken", PIXELS)
    (broken / "1.png").write_bytes(b"no image")
    (tmp_path / "damaged.npz").write_bytes(b"nothing")
    for name, message in (
        ("nowhere", "real=.*does not exist"),
        ("nowhere.npz", "real=.*file does not exist"),
        ("empty", "contains no images"),
        ("broken", "1.png is unreadable"),
        ("damaged.npz", "cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            open_images(str(tmp_path / name), "real")
