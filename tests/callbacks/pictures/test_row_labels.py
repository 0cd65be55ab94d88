from types import SimpleNamespace

import pytest
import torch
from PIL import ImageChops

from ganforge.callbacks.pictures.grid import label_rows, picture
from ganforge.callbacks.pictures.model_grids import SampleGrids


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("names", [["cat", "dog"], ["東", ""], ["y" * 300, "a\x1b[2J"]])
def test_rows_are_named_at_their_left(channels, names):
    grid = picture(torch.rand(4, channels, 8, 8) * 2 - 1, 2)
    shown = label_rows(grid, names)
    column = shown.width - grid.width
    assert 20 < column < 180
    assert shown.height == grid.height
    kept = shown.crop((column, 0, shown.width, shown.height))
    assert ImageChops.difference(kept, grid).getbbox() is None
    for top in (0, grid.height // 2):
        letters = shown.crop((0, top, column, top + grid.height // 2)).convert("L")
        assert letters.getextrema()[1] > 200
    assert label_rows(grid, []) is grid


def test_class_names_need_a_model_that_learns_the_labels_of_the_data():
    def names(**facts):
        data = SimpleNamespace(class_names=["a", "b"])
        return SampleGrids(SimpleNamespace(**facts), data, 4, 0, "ema")._names()

    assert names(num_classes=2) == ["a", "b"]
    assert names(num_classes=2, classes_are_labels=False) == []
    assert names(num_classes=0) == []
