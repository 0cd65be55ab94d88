from __future__ import annotations

import pytest
import torch
from PIL import Image

from ganforge.callbacks.pictures.model_grids import halved, side_by_side
from ganforge.callbacks.samples import Samples
from tests.callbacks.albums import Album, grids, names
from tests.callbacks.translating import Data, Game, fit
from tests.metrics.translation_stand_ins import flat

TWO = ("AtoB", "BtoA")


def data(paired=True, channels=(1, 1)):
    inputs, targets = flat([100, 110, 120] + [0] * 4, channels[0]), flat([200] * 7, channels[1])
    return Data(inputs, targets, paired, test=4)


def cell(image, column, row, side=64):
    """The middle of an image of a grid, of the left half by its column."""
    step = side + 2
    return image.getpixel((2 + column * step + side // 2, 2 + row * step + side // 2))


def shown(tmp_path, name):
    with Image.open(tmp_path / "samples" / name) as image:
        return image.copy()


def test_one_direction_shows_input_output_and_target(tmp_path):
    """Four held-out images of gray 0, two rows in each half; the first outputs are 51 lighter."""
    game, _ = fit(tmp_path, Samples(2, count=4, weights="raw", seed=7), data())
    assert names(tmp_path) == ["reals.png", *grids(0, 2, 4), "training.gif"]
    grid = shown(tmp_path, "step_0000000.png")
    half = 3 * 66 + 2
    assert grid.size == (2 * half + 8, 2 * 66 + 2)
    assert [cell(grid, column, 1) for column in range(3)] == [0, 51, 200]
    assert grid.getpixel((half + 8 + 2 + 66 + 32, 34)) == 51
    assert [cell(shown(tmp_path, "step_0000002.png"), c, 0) for c in range(3)] == [0, 13, 200]
    assert game.asked == [("AtoB", 4, 0, "raw", 7)] * 3
    reals = shown(tmp_path, "reals.png")
    assert [cell(reals, column, 0) for column in range(2)] == [0, 200]


def test_two_directions_show_what_comes_back_and_its_mirror(tmp_path):
    fit(tmp_path, Samples(4, count=3), data(paired=False), Game(TWO))
    grid = shown(tmp_path, "step_0000000.png")
    half = 3 * 66 + 2
    assert grid.size == (2 * half + 8, 3 * 66 + 2)
    assert [cell(grid, column, 2) for column in range(3)] == [0, 51, 102]
    mirror = grid.crop((half + 8, 0, 2 * half + 8, grid.height))
    assert [cell(mirror, column, 2) for column in range(3)] == [200, 251, 255]


def test_one_direction_without_pairs_has_no_target_column(tmp_path):
    fit(tmp_path, Samples(4, count=2), data(paired=False))
    assert shown(tmp_path, "step_0000004.png").size == (2 * (2 * 66 + 2) + 8, 66 + 2)


def test_loggers_get_the_pictures_and_what_they_show(tmp_path):
    album = Album()
    fit(tmp_path, Samples(2, count=4), data(), logger=album)
    kept = [(name, step) for name, step, _ in album.pictures]
    assert kept == [("reals", 0), ("samples", 0), ("samples", 2), ("samples", 4)]
    assert album.pictures[1][2] == shown(tmp_path, "step_0000000.png").tobytes()


def test_gray_inputs_next_to_color(tmp_path):
    fit(tmp_path, Samples(4, count=4), data(channels=(1, 3)), Game(channels=3))
    grid = shown(tmp_path, "step_0000000.png")
    assert grid.mode == "RGB"
    assert [cell(grid, c, 0) for c in range(3)] == [(0,) * 3, (51,) * 3, (200,) * 3]


@pytest.mark.parametrize(
    ("channels", "mode"),
    [((1, 1), "L"), ((1, 3), "RGB"), ((2, 2), "LA"), ((1, 2), "LA"), ((2, 3), "RGBA")],
)
def test_modes_hold_what_all_images_hold(channels, mode):
    block = [flat([70], c, 64) for c in channels]
    image = side_by_side(block)
    assert image.mode == mode
    opaque = {"L": 70, "RGB": (70,) * 3, "LA": (70, 255), "RGBA": (70, 70, 70, 255)}[mode]
    as_it_is = {"LA": (70, 70), "RGBA": (70, 70, 70, 70)}
    for column, held in enumerate(channels):
        assert cell(image, column, 0) == (opaque if held % 2 else as_it_is[mode])


def test_an_odd_number_is_halved_but_a_single_row_is_not():
    upper, lower = halved([torch.arange(5), torch.arange(7)])
    assert [len(c) for c in upper] == [3, 3]
    assert [c.tolist() for c in lower] == [[3, 4], [3, 4]]
    assert len(halved([torch.arange(1)])) == 1


def test_training_images_stand_in_where_none_are_held_out(tmp_path):
    few = Data(flat([10, 10]), flat([20, 20]))
    fit(tmp_path, Samples(4, count=8), few)
    assert cell(shown(tmp_path, "step_0000000.png"), 0, 0) == 10
