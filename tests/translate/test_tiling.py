from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.translate.tiling import blend_weights, pad_to_multiple, starts, translate_any

SIZES = [(1, 1), (1, 9), (2, 1), (3, 5), (8, 8), (13, 31), (40, 17)]


def image(height, width, channels=3):
    generator = torch.Generator().manual_seed(height * 100 + width)
    return torch.rand(channels, height, width, generator=generator)


def applied(network):
    """A network as translations call it: [C, h, w] and an index."""
    return lambda crop, index: network(crop[None])[0]


# ---------------------------------------------------------------------- padding


def test_an_image_is_reflected_as_often_as_it_takes():
    row = torch.tensor([[[0.0, 1.0, 2.0]]])
    assert pad_to_multiple(row, 8)[0, 0].tolist() == [2, 1, 0, 1, 2, 1, 0, 1]
    assert pad_to_multiple(row, 8).shape == (1, 8, 8)


def test_borders_smaller_than_the_image_are_those_of_torch():
    padded = pad_to_multiple(image(13, 22), 8)
    torch.testing.assert_close(padded, F.pad(image(13, 22), (1, 1, 1, 2), "reflect"))


def test_one_pixel_is_repeated():
    assert (pad_to_multiple(torch.full((2, 1, 1), 7), 4) == 7).all()


def test_a_small_image_grows_to_what_a_network_needs():
    assert pad_to_multiple(image(1, 30), 4, smallest=16).shape == (3, 16, 32)
    whole = image(1, 30)
    output = translate_any(whole, lambda crop, index: crop, 4, 16, 4, smallest=16)
    torch.testing.assert_close(output, whole)


def test_fitting_images_are_not_padded():
    whole = image(8, 16)
    assert pad_to_multiple(whole, 8) is whole


@pytest.mark.parametrize("multiple", [1, 2, 4, 7, 32])
@pytest.mark.parametrize("size", SIZES)
def test_the_identity_gives_every_image_back(size, multiple):
    seen = []

    def identity(crop, index):
        seen.append((*crop.shape[1:], index))
        return crop

    whole = image(*size)
    assert torch.equal(translate_any(whole, identity, multiple), whole)
    ((height, width, index),) = seen
    assert (height % multiple, width % multiple, index) == (0, 0, 0)
    assert height - size[0] < multiple
    assert width - size[1] < multiple


# ---------------------------------------------------------------------- tiles


@pytest.mark.parametrize(
    ("multiple", "tile", "overlap"), [(1, 5, 2), (4, 8, 4), (4, 8, 3), (1, 2, 1)]
)
@pytest.mark.parametrize("size", SIZES)
def test_the_identity_gives_every_image_back_in_tiles(size, multiple, tile, overlap):
    seen = []

    def identity(crop, index):
        seen.append(index)
        assert max(crop.shape[1:]) <= tile
        assert [side % multiple for side in crop.shape[1:]] == [0, 0]
        return crop

    whole = image(*size)
    torch.testing.assert_close(translate_any(whole, identity, multiple, tile, overlap), whole)
    assert seen == list(range(len(seen)))


LAYOUTS = [
    (length * multiple, side * multiple, overlap, multiple)
    for length, side, multiple in itertools.product((1, 2, 3, 7, 20), (1, 2, 3, 6), (1, 4))
    for overlap in range(side * multiple // 2 + 1)
]


@pytest.mark.parametrize(("length", "side", "overlap", "multiple"), LAYOUTS)
def test_tiles_cover_an_axis_and_their_weights_sum_to_one(length, side, overlap, multiple):
    side = min(side, length)
    begins = starts(length, side, min(overlap, side // 2), multiple)
    total = torch.zeros(length)
    for begin, weights in zip(begins, blend_weights(begins, side), strict=True):
        assert (weights >= 0).all()
        total[begin : begin + side] += weights
    torch.testing.assert_close(total, torch.ones(length))
    assert begins[-1] == length - side
    for before, after in itertools.pairwise(begins):
        assert before < after
        assert before + side - after >= min(overlap, side // 2)
    if side - overlap >= multiple:
        assert all(begin % multiple == 0 for begin in begins)


def test_weights_by_hand():
    first, second = blend_weights([0, 4], 8)  # they share pixels 4 ... 7
    # Pixel centers lie at 1/8, 3/8, 5/8, 7/8 of the overlap: s = 0, 1/4, 3/4, 1 of its middle half.
    rise = torch.tensor([0.0, 5 / 32, 27 / 32, 1.0])  # 3 s^2 - 2 s^3
    torch.testing.assert_close(second, torch.cat([rise, torch.ones(4)]))
    torch.testing.assert_close(first, torch.cat([torch.ones(4), 1 - rise]))


def test_a_convolution_over_tiles_is_the_one_over_the_image():
    torch.manual_seed(0)
    network = applied(nn.Conv2d(3, 2, 3, padding=1).requires_grad_(False))
    whole = image(45, 61)
    expected = translate_any(whole, network, 1)
    torch.testing.assert_close(translate_any(whole, network, 1, 16, 4), expected)
    # Without an overlap the seams show, and nothing but the seams.
    hard = translate_any(whole, network, 1, 16, 0)
    wrong = ((hard - expected).abs() > 1e-5).any(0)
    assert wrong[15].any()
    assert not wrong[1:14, 1:14].any()


def test_a_network_with_strides_is_met_at_its_own_steps():
    torch.manual_seed(0)
    down = nn.Conv2d(3, 4, 4, stride=2, padding=1)
    up = nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1)
    network = applied(nn.Sequential(down, nn.ReLU(), up, nn.Tanh()).requires_grad_(False))
    whole = image(50, 70)
    tiled = translate_any(whole, network, 2, 24, 13)
    torch.testing.assert_close(tiled, translate_any(whole, network, 2))


def test_bytes_and_new_channel_counts():
    grey = torch.arange(0, 250, 10, dtype=torch.uint8).view(1, 5, 5)
    output = translate_any(grey, lambda crop, index: crop.float().repeat(3, 1, 1), 2, 4, 2)
    torch.testing.assert_close(output, grey.float().repeat(3, 1, 1))


def test_finished_rows_are_what_all_rows_together_would_be():
    whole = image(61, 43)
    output = translate_any(whole, lambda crop, index: crop * (index + 1), 1, 16, 7)
    finished = translate_any(
        whole, lambda crop, index: crop * (index + 1), 1, 16, 7, finish=lambda p: p.double() + 1
    )
    assert torch.equal(finished, output.double() + 1)
    tops, lefts = starts(61, 16, 7, 1), starts(43, 16, 7, 1)
    expected, index = torch.zeros_like(whole), 0
    for top, down in zip(tops, blend_weights(tops, 16), strict=True):
        for left, across in zip(lefts, blend_weights(lefts, 16), strict=True):
            index += 1
            window = (slice(None), slice(top, top + 16), slice(left, left + 16))
            expected[window] += whole[window] * index * (down[:, None] * across)
    assert torch.equal(output, expected)
