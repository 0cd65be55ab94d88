from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ganforge.report.samples import encoded, fitting
from tests.report.pages import noise


def opened(picture):
    body = base64.b64decode(picture.uri.partition(",")[2])
    return Image.open(io.BytesIO(body))


def test_a_picture_of_noise_becomes_webp_and_looks_alike(tmp_path):
    smooth = Image.linear_gradient("L").resize((200, 100)).convert("RGB")
    smooth.save(tmp_path / "a.png")
    picture = encoded(noise(tmp_path / "b.png"), 1024)
    assert picture.uri.startswith("data:image/webp;base64,")
    assert opened(picture).size == (picture.width, picture.height) == (128, 128)
    shown = np.asarray(opened(encoded(tmp_path / "a.png", 1024)).convert("RGB"), float)
    assert np.abs(shown - np.asarray(smooth, float)).mean() < 2


def test_a_small_png_stays_what_it_is(tmp_path):
    sharp = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(sharp.astype(np.uint8)).save(tmp_path / "a.png")
    picture = encoded(tmp_path / "a.png", 64)
    assert picture.uri.startswith("data:image/png;base64,")
    assert base64.b64decode(picture.uri.partition(",")[2]) == picture.source.read_bytes()


def test_a_large_picture_is_shrunk(tmp_path):
    Image.new("L", (400, 100)).save(tmp_path / "a.png")
    picture = encoded(tmp_path / "a.png", 100)
    assert opened(picture).size == (picture.width, picture.height) == (100, 25)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_pictures_of_all_kinds(tmp_path, mode):
    Image.new(mode, (80, 80)).save(tmp_path / "a.png")
    assert encoded(tmp_path / "a.png", 40).width == 40


def test_what_cannot_be_read_is_none(tmp_path):
    whole = noise(tmp_path / "a.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    assert [encoded(tmp_path / f"{name}.png", 64) for name in ("torn", "text", "none")] == [
        None
    ] * 3


def test_pictures_fit_into_the_room(tmp_path):
    paths = [noise(tmp_path / f"{seed}.png", seed=seed) for seed in range(12)]
    each = max(len(encoded(path, 128).uri) for path in paths)
    assert [p.source for p in fitting(paths, 12 * each, 60, 128)] == paths
    shown = fitting(paths, 4 * each, 60, 128)
    assert [p.source for p in shown] == paths[3::4]  # evenly apart, the last one among them
    assert [p.source for p in fitting(paths, 12 * each, 2, 128)] == [paths[0], paths[-1]]
    (last,) = fitting(paths, each // 2, 60, 128)
    assert (last.source, last.width) == (paths[-1], 64)
    assert fitting(paths, 100, 60, 128) == []
    assert fitting([], 1000, 60, 128) == []
