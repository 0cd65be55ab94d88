import pytest
import torch

from ganforge.data.images import pad_to, resize, to_float, to_uint8, with_channels
from ganforge.errors import ConfigError


def test_every_byte_survives_the_round_trip():
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    floats = to_float(every)
    assert (floats.min(), floats.max()) == (-1, 1)
    assert torch.equal(to_uint8(floats), every)


def test_values_are_converted_once_and_clamped():
    floats = torch.tensor([-3.0, 0.0, 3.0]).view(1, 1, 1, 3)
    assert to_float(floats) is floats
    assert to_uint8(floats).flatten().tolist() == [0, 128, 255]
    assert to_uint8(to_uint8(floats)).flatten().tolist() == [0, 128, 255]


def test_resize_keeps_a_flat_image_flat_and_averages_a_fine_pattern():
    flat = torch.full((2, 3, 8, 8), 77, dtype=torch.uint8)
    assert torch.equal(resize(flat, 32), torch.full((2, 3, 32, 32), 77, dtype=torch.uint8))
    stripes = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    stripes[..., ::2] = 200
    inner = resize(stripes, 8)[..., 2:-2]
    assert (inner.int() - 100).abs().max() <= 2  # without antialiasing: 0 or 200


def test_padding_is_centred():
    padded = pad_to(torch.ones(1, 1, 28, 28, dtype=torch.uint8), 32)
    assert padded.sum() == 28 * 28
    assert padded[..., 2:30, 2:30].sum() == 28 * 28


def test_channels_are_repeated_or_weighed():
    grey = torch.full((1, 1, 2, 2), 9, dtype=torch.uint8)
    assert torch.equal(with_channels(grey, 3), torch.full((1, 3, 2, 2), 9, dtype=torch.uint8))
    green = torch.tensor([0, 255, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    assert with_channels(green, 1).item() == round(0.587 * 255)
    with pytest.raises(ConfigError, match="channels must be 1 or 3"):
        with_channels(grey, 4)
