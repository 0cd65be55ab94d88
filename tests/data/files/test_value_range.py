import io
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganforge.commands.translate import input_span, translatable
from ganforge.data.files.decoding import decode, upright, upright_size
from ganforge.data.files.entries import open_entries
from ganforge.data.files.external import open_images, share_span
from ganforge.data.files.range_scan import find_span
from ganforge.data.files.value_range import ONLY_BYTES, Span, read_range, snapped
from ganforge.data.sets.folder import ImageFolder
from ganforge.data.translation.own import UnpairedImages
from ganforge.errors import ConfigError, DataError
from tests.data.drawings import RED, encoded, flat, save

RAMP = np.linspace(0, 1, 256).reshape(16, 16)


def folder(path, **changes):
    return ImageFolder(str(path), image_size=16, channels=1, batch_size=2, **changes)


def paint(root, arrays, suffix="tif"):
    for place, array in enumerate(arrays):
        save(root / f"{place}.{suffix}", Image.fromarray(array))
    return root


# ---------------------------------------------------------------------- one range for a set


@pytest.mark.parametrize(
    ("array", "span"),
    [
        ((RAMP * 255).astype(np.uint16), [0, 255]),
        ((RAMP * 4095).astype(np.uint16), [0, 4095]),
        ((RAMP * 65535).astype(np.uint16), [0, 65535]),
        ((RAMP * 65535).astype(">u2"), [0, 65535]),
        ((RAMP * 900 + 20000).astype(np.uint16), [20000, 20900]),
        ((RAMP * 200000).astype(np.int32), [0, 200000]),
        ((RAMP * 3000 - 1000).astype(np.int32), [-1000, 2000]),
        (RAMP.astype(np.float32), [0, 1]),
        ((RAMP * 2 - 1).astype(np.float32), [-1, 1]),
        ((RAMP * 1e-3).astype(np.float32), [0, pytest.approx(1e-3)]),
    ],
)
def test_the_range_of_a_set_becomes_black_to_white_and_is_logged(tmp_path, caplog, array, span):
    paint(tmp_path, [array, array[::-1]])
    data = folder(tmp_path)
    with caplog.at_level(logging.INFO, "ganforge"):
        images = data.reals(2)[0]
    assert data.range_found() == {"found": span}
    expected = torch.from_numpy(np.rint(RAMP * 255)).flatten()
    for image in images:
        grey = image.flatten().double()
        grey = grey if grey[-1] > grey[0] else image.flip(1).flatten().double()
        assert (grey - expected).abs().max() <= 1.01
    assert "scaled from the range [" in caplog.text


def test_sixteen_bits_that_are_used_are_read_as_ever(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    save(tmp_path / "a.png", Image.fromarray(values))
    decoded = decode((tmp_path / "a.png").read_bytes(), 256, 1)
    assert torch.equal(decoded[0], torch.from_numpy((values >> 8).astype(np.uint8)))


def test_a_large_unsigned_value_does_not_wrap_around():
    values = np.array([[0, 2**31], [2**32 - 1, 2**30]], np.uint32)
    buffer = io.BytesIO()
    Image.fromarray(values.view(np.int32)).save(buffer, "TIFF")
    signed, unsigned = (b"\x53\x01\x03\0\1\0\0\0" + bytes([sign]) for sign in (2, 1))
    assert signed in buffer.getvalue()
    assert decode(buffer.getvalue().replace(signed, unsigned), 2, 1).flatten().tolist() == [
        0,
        128,
        255,
        64,
    ]


def test_values_outside_of_a_configured_range_are_clamped(tmp_path):
    paint(tmp_path, [(RAMP * 1000).astype(np.uint16)] * 2)
    data = folder(tmp_path, range=[0, 500])
    assert data.reals(1)[0].flatten()[[0, 64, -1]].tolist() == [0, 128, 255]
    assert data.range_found() is None


def test_a_recorded_range_stays_when_brighter_images_are_added(tmp_path):
    paint(tmp_path, [(RAMP * 4095).astype(np.uint16)] * 3 + [(RAMP * 60000).astype(np.uint16)])
    data = folder(tmp_path, range={"found": [0, 4095]})
    assert data.size() == 3
    assert data.range_found() == {"found": [0, 4095]}
    data = folder(tmp_path, range={"found": [0, 4095]}, max_unreadable=0)
    with pytest.raises(
        DataError, match=r"values from 0 to 60000, outside of the range \[0, 4095\]"
    ):
        data.setup()


def test_images_that_are_not_finite_are_named(tmp_path):
    broken = RAMP.astype(np.float32).copy()
    broken[0, 0] = np.nan
    paint(tmp_path, [RAMP.astype(np.float32)] * 2 + [broken])
    with pytest.raises(DataError, match=r"2\.tif: contains NaN or infinity"):
        folder(tmp_path, max_unreadable=0).setup()


def test_mixed_depths_are_refused_unless_a_range_says_what_they_mean(tmp_path):
    paint(tmp_path, [(RAMP * 4095).astype(np.uint16)] * 2 + [(RAMP * 255).astype(np.uint8)])
    with pytest.raises(DataError, match=r"mixes 8-bit images, such as 2\.tif, with 16-bit ones"):
        folder(tmp_path).setup()
    assert folder(tmp_path, range=[0, 4095]).size() == 3
    assert folder(paint(tmp_path, [(RAMP * 65535).astype(np.uint16)] * 2)).size() == 3


def test_a_deep_image_that_is_met_late_is_a_fault():
    with pytest.raises(DataError, match="is a float image in a set of 8-bit images"):
        decode(encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"), 8, 1, span=ONLY_BYTES)


def test_domains_have_ranges_of_their_own(tmp_path):
    paint(tmp_path / "trainA", [(RAMP * 255).astype(np.uint8)] * 3)
    paint(tmp_path / "trainB", [(RAMP * 4095).astype(np.uint16)] * 3)
    sizes = {"image_size": 16, "load_size": 16, "input_channels": 1, "channels": 1}
    data = UnpairedImages(str(tmp_path), **sizes)
    assert data.reals(1)[0].max() == data.inputs(1).max() == 255
    assert data.range_found() == {"found": {"A": None, "B": [0, 4095]}}
    again = UnpairedImages(str(tmp_path), **sizes, range=data.range_found())
    assert torch.equal(again.reals(1)[0], data.reals(1)[0])


@pytest.mark.parametrize(
    "wrong", [[1], [1, 1], [2, 1], [0, float("inf")], [True, 2], {"A": [0, 1]}, {"found": [0]}]
)
def test_wrong_ranges_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"data\.range must be \[lo,hi\]"):
        read_range(wrong)


def test_a_constant_set_has_a_range():
    assert snapped(51400, 51400, whole=True) == Span(0, 65535)
    assert snapped(-3, -3, whole=True) == Span(-3, -2)


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (np.zeros((16, 16), np.uint8), "every pixel of them is 0"),
        ((RAMP > 0.5).astype(np.uint8), "they have 2 levels, from 0 to 1"),
        ((RAMP * 255).astype(np.uint8), "they are all the same image"),
    ],
)
def test_images_that_hold_nothing_to_learn_are_warned_of(tmp_path, caplog, array, fault):
    paint(tmp_path, [array, array[::-1] if "levels" in fault else array], "png")
    folder(tmp_path).setup()
    assert fault in caplog.text


# ---------------------------------------------------------------------- what is read of a stranger


def test_pixels_are_counted_before_they_are_decoded(monkeypatch):
    data = encoded(flat(RED))
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("was decoded"))
    with pytest.raises(DataError, match=r"is 12 x 12, 144 pixels; the limit is 100"):
        upright(data, max_pixels=100)
    large = b"P6 50000 50000 255\n"
    with pytest.raises(DataError, match="2,500,000,000 pixels"):
        upright(large)


def test_pillows_own_limit_is_not_the_users(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert upright(encoded(flat(RED))).size == (12, 12)
    assert Image.MAX_IMAGE_PIXELS == 10


def long_text():
    info = PngInfo()
    info.add_text("workflow", "x" * 1_200_000, zip=True)
    return encoded(flat(RED), pnginfo=info)


@pytest.mark.parametrize("make", [long_text, lambda: damaged_text(long_text())])
def test_long_or_damaged_text_in_a_png_leaves_its_pixels_readable(make):
    data = make()
    assert decode(data, 12, 3)[:, 0, 0].tolist() == [255, 0, 0]
    assert upright_size(io.BytesIO(data)) == (12, 12)


def damaged_text(data):
    place = data.index(b"zTXt") + 20
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_damaged_pixels_stay_unreadable():
    data = encoded(Image.effect_noise((64, 64), 50))
    with pytest.raises(OSError, match="truncated"):
        upright(data[: len(data) // 2])


def test_postscript_is_never_interpreted(monkeypatch):
    with pytest.raises(Exception, match="cannot identify image file"):
        upright(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


# ---------------------------------------------------------------------- evaluating, translating


def test_sets_that_are_compared_share_a_range(tmp_path):
    dark = paint(tmp_path / "dark", [(RAMP * 2000).astype(np.uint16)] * 2)
    bright = paint(tmp_path / "bright", [(RAMP * 4000).astype(np.uint16)] * 2)
    sets = {key: open_images(str(path), key) for key, path in (("fake", dark), ("real", bright))}
    assert share_span(sets) == Span(0, 4095)
    whites = [given.source(16, 1).read(torch.tensor([0])).max() for given in sets.values()]
    assert whites == [round(2000 / 4095 * 255), round(4000 / 4095 * 255)]
    assert share_span({"fake": sets["fake"]}, Span(0, 3000)) == Span(0, 3000)
    assert sets["fake"].source(16, 1).read(torch.tensor([0])).max() == 170


def test_translation_scales_by_the_range_of_training(tmp_path):
    paint(tmp_path, [(RAMP * 2000).astype(np.uint16), (RAMP * 9000).astype(np.uint16)])
    entries = open_entries(tmp_path)
    noted = {"found": {"A": [0, 4000], "B": None}}
    entries.span = input_span(entries, noted, "AtoB")
    whites = [translatable(entries, name, 1).getextrema()[1] for name in entries.names]
    assert whites == [128, 255]
    assert input_span(entries, noted, "BtoA") == input_span(entries, None, "AtoB") == Span(0, 9000)


def test_a_range_without_effect_warns(tmp_path, caplog):
    Image.fromarray(np.full((4, 4), 128, np.uint8)).save(tmp_path / "a.png")
    entries = open_entries(tmp_path)
    find_span("data=folder", entries, entries.names, read_range([0, 100]))
    assert "data.range does not apply to 8-bit images" in caplog.text
