import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.data.files.decoding import decode
from tests.data.drawings import BLUE, GREEN, RED, encoded, flat, halves


def pixel(image, y=0, x=0):
    return tuple(image[:, y, x].tolist())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (flat(RED), RED),
        (flat(77, mode="L"), (77, 77, 77)),
        (flat((255, 0, 0, 0), mode="RGBA"), (255, 255, 255)),
        (flat((0, 0, 0, 255), mode="RGBA"), (0, 0, 0)),
        (flat((0, 0), mode="LA"), (255, 255, 255)),
        (flat(RED).quantize(4), RED),
        (flat(1, mode="1"), (255, 255, 255)),
        (Image.fromarray(np.full((12, 12), 200 * 257, np.uint16)), (200, 200, 200)),
    ],
)
def test_any_colour_mode_becomes_rgb(image, expected):
    decoded = decode(encoded(image), 12, 3)
    assert decoded.shape == (3, 12, 12)
    assert decoded.dtype == torch.uint8
    assert pixel(decoded) == expected


def test_a_transparent_palette_entry_is_laid_on_white():
    assert pixel(decode(encoded(flat(RED).quantize(4), transparency=0), 12, 3)) == (255,) * 3


def test_other_channel_counts():
    clear = encoded(flat((9, 9, 9, 0), mode="RGBA"))
    assert pixel(decode(clear, 12, 4)) == (9, 9, 9, 0)
    assert pixel(decode(clear, 12, 2)) == (9, 0)
    assert pixel(decode(clear, 12, 1)) == (255,)
    assert pixel(decode(encoded(flat(GREEN)), 12, 1)) == (150,)


def test_cmyk():
    assert pixel(decode(encoded(flat((0, 0, 0, 0), mode="CMYK"), "JPEG"), 12, 3)) == (255,) * 3


def test_the_centre_is_cut_and_resized():
    wide = flat(RED, (40, 20))
    wide.paste(GREEN, (10, 0, 30, 20))
    assert (decode(encoded(wide), 8, 3) == torch.tensor(GREEN).view(3, 1, 1)).all()
    faces = flat(RED, (178, 218))
    faces.paste(BLUE, (0, 20, 178, 198))
    assert (decode(encoded(faces), 64, 3, crop=178) == torch.tensor(BLUE).view(3, 1, 1)).all()


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    decoded = decode(encoded(halves(RED, BLUE), exif=exif), 12, 3)
    assert pixel(decoded, 5, 1) == BLUE
    assert pixel(decoded, 5, 10) == RED


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    inner = decode(encoded(Image.fromarray(stripes)), 16, 1)[..., 3:-3]
    assert (inner.int() - 100).abs().max() <= 3


def smooth(size, seed=0):
    """Noise without fine detail, in which a shift by half a pixel would be visible."""
    noise = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("size", "crop"), [((300, 225), None), ((257, 250), 201)])
def test_drafts_show_the_same_square(size, crop, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(smooth(size), "JPEG", quality=95, exif=exif)
    moved = encoded(smooth(size).crop((2, 2, *size)), "JPEG", quality=95, exif=exif)
    for side in (24, 64, 99):
        whole = decode(data, side, 3, crop).float()
        difference = (whole - decode(data, side, 3, crop, draft=True)).abs().mean()
        assert 0 < difference < 1.5
        assert (whole - decode(moved, side, 3, crop)).abs().mean() > 2 * difference


def test_drafts_change_nothing_of_other_images():
    image = smooth((300, 225))
    small = encoded(image, "JPEG")
    for side in (113, 200, 225, 300):  # more than half of the square
        assert torch.equal(decode(small, side, 3), decode(small, side, 3, draft=True))
    for other in (encoded(image), encoded(image, "WEBP"), encoded(image.quantize(16))):
        assert torch.equal(decode(other, 20, 3), decode(other, 20, 3, draft=True))
    gray, alpha = encoded(image.convert("L"), "JPEG"), decode(small, 20, 4, draft=True)
    assert decode(gray, 20, 1, draft=True).shape == (1, 20, 20)
    assert bool((alpha[3] == 255).all())
