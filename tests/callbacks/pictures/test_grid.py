from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.callbacks.pictures.gif import FRAMES, evenly, write_gif
from ganforge.callbacks.pictures.grid import by_class, picture, save


def numbered(count: int, channels: int, size: int) -> torch.Tensor:
    """Images of one color each: channel c of image i is 40 * i + c + 1."""
    values = 40 * torch.arange(count).view(-1, 1, 1, 1) + torch.arange(1, channels + 1).view(
        -1, 1, 1
    )
    return values.expand(count, channels, size, size).to(torch.uint8)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_every_image_is_where_it_belongs(channels, mode):
    grid = picture(numbered(5, channels, 64))
    assert grid.mode == mode
    assert grid.size == (3 * 66 + 2, 2 * 66 + 2)  # 5 images: 3 columns, 2 rows
    array = np.asarray(grid).reshape(2 * 66 + 2, 3 * 66 + 2, channels)
    expected = np.zeros_like(array)
    for index, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        top, left = 2 + 66 * row, 2 + 66 * column
        expected[top : top + 64, left : left + 64] = [40 * index + c + 1 for c in range(channels)]
    np.testing.assert_array_equal(array, expected)


def test_small_images_are_enlarged_by_a_whole_factor():
    image = torch.arange(28 * 28).remainder(251).to(torch.uint8).view(1, 1, 28, 28)
    array = np.asarray(picture(image))
    assert array.shape == (84 + 4, 84 + 4)  # 28 * 3 is the first multiple of at least 64
    np.testing.assert_array_equal(array[2:-2:3, 2:-2:3], image[0, 0].numpy())
    np.testing.assert_array_equal(array[4:-2:3, 4:-2:3], image[0, 0].numpy())


def test_large_images_keep_their_size():
    assert picture(torch.zeros(1, 3, 100, 50, dtype=torch.uint8)).size == (54, 104)


def test_floats_span_minus_one_to_one_and_are_clamped():
    values = torch.tensor([-1.0, 0.0, 1.0, -3.0, 3.0, 0.5]).view(6, 1, 1, 1)
    array = np.asarray(picture(values.expand(6, 1, 64, 64)))
    shown = [int(array[2 + 66 * (i // 3), 2 + 66 * (i % 3)]) for i in range(6)]
    assert shown == [0, 128, 255, 0, 255, 191]


def test_bytes_and_their_floats_look_alike():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    floats = pixels.float() / 127.5 - 1
    assert picture(pixels).tobytes() == picture(floats).tobytes()
    assert picture(pixels).tobytes() == picture(floats.to(torch.float64)).tobytes()


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (2, 5, 4, 4), (3, 4, 4)])
def test_what_is_no_batch_of_images_is_refused(shape):
    with pytest.raises(ValueError, match="images must be"):
        picture(torch.zeros(shape))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_saved_grid_decodes_to_the_same_pixels(tmp_path, channels):
    grid = picture(numbered(4, channels, 32))
    save(grid, tmp_path / "deep" / "grid.png")
    with Image.open(tmp_path / "deep" / "grid.png") as decoded:
        assert decoded.mode == grid.mode
        assert decoded.tobytes() == grid.tobytes()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["grid.png"]


def frames(path) -> list[Image.Image]:
    with Image.open(io.BytesIO(path.read_bytes())) as gif:
        shown = []
        for index in range(gif.n_frames):
            gif.seek(index)
            shown.append(gif.convert("RGB"))
        return shown


@pytest.mark.parametrize(
    ("count", "most", "places"),
    [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (100, 2, [0, 99]), (7, 1, [6]), (0, 4, [])],
)
def test_indices_are_evenly_spaced(count, most, places):
    assert evenly(count, most) == places


def test_a_film_shows_every_picture_in_order(tmp_path):
    paths = []
    for index in range(5):
        paths.append(tmp_path / f"{index}.png")
        Image.new("L", (8, 8), 50 * index).save(paths[-1])
    write_gif(paths, tmp_path / "film.gif")
    assert [frame.getpixel((0, 0))[0] for frame in frames(tmp_path / "film.gif")] == [
        0,
        50,
        100,
        150,
        200,
    ]


def test_a_long_film_is_thinned_and_a_large_one_shrunk(tmp_path):
    paths = []
    for index in range(100):
        paths.append(tmp_path / f"{index:03d}.png")
        Image.new("RGB", (1536, 4), (2 * index, 0, 0)).save(paths[-1])
    write_gif(paths, tmp_path / "film.gif")
    shown = frames(tmp_path / "film.gif")
    assert len(shown) == FRAMES
    assert shown[0].size == (768, 2)
    assert (shown[0].getpixel((0, 0))[0], shown[-1].getpixel((0, 0))[0]) == (0, 198)


def test_transparent_pixels_are_white_in_a_film(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    write_gif([tmp_path / "a.png"], tmp_path / "film.gif")
    assert frames(tmp_path / "film.gif")[0].getpixel((0, 0)) == (255, 255, 255)


def test_no_pictures_make_no_film(tmp_path):
    write_gif([], tmp_path / "film.gif")
    assert not (tmp_path / "film.gif").exists()


def test_classes_have_a_row_each():
    images = numbered(5, 1, 64)
    sorted_images, columns = by_class(images, torch.tensor([2, 0, 2, 9, 2]), 3)
    assert columns == 3
    values = sorted_images[:, 0, 0, 0].view(3, 3)
    assert values.tolist() == [[41, 0, 0], [0, 0, 0], [1, 81, 161]]
    assert picture(sorted_images, columns).size == (3 * 66 + 2, 3 * 66 + 2)


def test_classes_that_nobody_drew_still_have_a_row():
    sorted_images, columns = by_class(numbered(1, 3, 8), torch.tensor([7]), 2)
    assert (len(sorted_images), columns) == (2, 1)
    assert sorted_images.sum() == 0
