from __future__ import annotations

import pytest
import torch

from ganforge.augment.diffaugment import (
    DiffAugment,
    change_brightness,
    change_contrast,
    change_saturation,
    cut_out,
)
from ganforge.augment.shift import translate
from ganforge.errors import ConfigError
from ganforge.streams import Noise
from tests.augment.pictures import pictures


def draws(n: int, seed: int) -> torch.Tensor:
    return Noise(seed, n).uniform(1, 1, 1)


def test_brightness_adds_one_number_to_each_image():
    images = pictures(512)
    added = change_brightness(images, Noise(3, 512)) - images
    torch.testing.assert_close(added, (draws(512, 3) - 0.5).expand_as(images))
    assert -0.5 <= added.min() < -0.48
    assert 0.48 < added.max() <= 0.5


def test_contrast_scales_around_each_images_mean():
    images = pictures(64)
    changed = change_contrast(images, Noise(3, 64))
    torch.testing.assert_close(changed.mean((1, 2, 3)), images.mean((1, 2, 3)))
    factor = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    torch.testing.assert_close(factor, draws(64, 3).flatten() + 0.5)


def test_saturation_scales_around_each_pixels_grey():
    images = pictures(64)
    changed = change_saturation(images, Noise(3, 64))
    torch.testing.assert_close(changed.mean(1), images.mean(1))
    distance = images - images.mean(1, keepdim=True)
    wanted = 2 * draws(64, 3) * distance
    torch.testing.assert_close(changed - changed.mean(1, keepdim=True), wanted)


def test_saturation_leaves_grey_images():
    images = pictures(4, channels=1)
    assert change_saturation(images, Noise(0, 4)) is images
    coloured = images.expand(4, 3, 8, 8)  # gray, of three channels
    torch.testing.assert_close(change_saturation(coloured, Noise(0, 4)), coloured)


def test_cutout_sets_a_square_around_a_uniform_centre():
    cut = cut_out(torch.ones(2000, 3, 8, 8), Noise(5, 2000), 0.5) == 0
    assert (cut[:, 0] == cut[:, 1]).all()
    sides = cut[:, 0].any(2).sum(1)  # rows covered: 4, or fewer where it reaches outside
    assert sorted(set(sides.tolist())) == [2, 3, 4]
    # Centers 0 ... 8, each as likely: 2, 3 and then four, four, four, four, four, 3, 2 rows.
    shares = torch.bincount(sides)[2:] / 2000
    torch.testing.assert_close(shares, torch.tensor([2 / 9, 2 / 9, 5 / 9]), atol=0.03, rtol=0)
    covered = cut[:, 0].float().mean((0, 2))
    assert covered[3:5].min() > covered[[0, 7]].max()


def test_a_cutout_of_odd_length_has_its_centre_on_a_pixel():
    cut = cut_out(torch.ones(500, 1, 6, 6), Noise(5, 500), 0.5)[:, 0] == 0
    sides = cut.any(2).sum(1)
    assert set(sides.tolist()) == {2, 3}
    assert (sides == 2).float().mean().item() == pytest.approx(2 / 6, abs=0.06)


def test_cutout_stops_the_gradient_where_it_cuts():
    images = pictures(4).requires_grad_()
    changed = cut_out(images, Noise(2, 4), 0.5)
    changed.sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad == 0, changed == 0)


def test_a_shift_may_bring_in_zeros():
    shifted = translate(torch.ones(300, 1, 8, 8), Noise(1, 300), 0.25, padding="zeros")
    rows_left = (shifted[:, 0].sum(2) > 0).sum(1)
    assert sorted(set(rows_left.tolist())) == [6, 7, 8]
    assert set(shifted.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_it_composes_the_paper_order(channels):
    images, noise = pictures(5, channels), Noise(9, 5)
    wanted = change_contrast(change_saturation(change_brightness(images, noise), noise), noise)
    wanted = cut_out(translate(wanted, noise, 0.125, "zeros"), noise, 0.5)
    torch.testing.assert_close(DiffAugment()(images, Noise(9, 5)), wanted)


def test_all_off_is_the_identity():
    images = pictures(3)
    assert DiffAugment(colour=False, translation=0, cutout=0)(images, Noise(0, 3)) is images


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gradients_are_those_of_finite_differences(channels):
    images = pictures(1, channels, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: DiffAugment()(x, Noise(4, 1)), (images,))
    assert torch.autograd.gradgradcheck(lambda x: DiffAugment()(x, Noise(4, 1)), (images,))


def test_every_rank_takes_its_rows():
    images = pictures(4)
    whole = DiffAugment()(images, Noise(3, 4))
    parts = [DiffAugment()(images[r::2], Noise(3, 2, rank=r, world=2)) for r in (0, 1)]
    torch.testing.assert_close(torch.stack(parts, 1).flatten(0, 1), whole)


def test_half_precision_stays_half():
    assert DiffAugment()(pictures(2).bfloat16(), Noise(0, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"translation": 1.0}, r"translation must be in \[0, 1\), got 1.0"),
        ({"cutout": -0.1}, r"cutout must be in \[0, 1\), got -0.1"),
        ({"padding": "wrap"}, "padding must be replicate or zeros, got 'wrap'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        DiffAugment(**arguments)
