from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ganforge.augment.resampling import ANALYSIS, SYNTHESIS, Resampler, mirror, sample_bilinearly
from tests.augment.pictures import pictures, waves


def move(images: torch.Tensor, rows: list[list[float]]) -> torch.Tensor:
    return Resampler()(images, torch.tensor(rows).expand(len(images), 3, 3))


def taps(half: list[float]) -> torch.Tensor:
    return torch.tensor([*half[:0:-1], *half], dtype=torch.float64)


def test_the_filters_are_of_one_biorthogonal_wavelet():
    """Shifted by two, they are orthogonal to each other: down after up is the identity."""
    analysis, synthesis = F.pad(taps(ANALYSIS), (8, 8)), F.pad(taps(SYNTHESIS), (9, 9))
    assert analysis.sum().item() == pytest.approx(1)
    assert synthesis.sum().item() == pytest.approx(2)
    products = [float(analysis @ synthesis.roll(2 * k)) for k in (-3, -2, -1, 0, 1, 2, 3)]
    assert products == pytest.approx([0, 0, 0, 1, 0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("half", [ANALYSIS, SYNTHESIS])
def test_the_filters_have_four_vanishing_moments(half):
    h = taps(half)
    n = torch.arange(len(h), dtype=torch.float64) - len(h) // 2
    signs = (-1.0) ** n
    for power in range(4):
        assert float((signs * n**power * h).sum()) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("side", [2, 3, 8, 17])
def test_unmoved_images_are_not_blurred(side):
    images = pictures(3, side=side)
    torch.testing.assert_close(move(images, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]), images)


def test_flips_and_quarter_turns_are_exact():
    images = pictures(2, side=9)
    torch.testing.assert_close(move(images, [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]), images.flip(3))
    torch.testing.assert_close(move(images, [[1, 0, 0], [0, -1, 0], [0, 0, 1]]), images.flip(2))
    turned = move(images, [[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)))


def test_shifts_by_whole_pixels_are_exact_and_mirror_the_border():
    images = pictures(2)
    shifted = move(images, [[1, 0, 2], [0, 1, -3], [0, 0, 1]])  # two to the left, three down
    wanted = F.pad(images, (0, 2, 3, 0), mode="reflect")[:, :, :8, 2:]
    torch.testing.assert_close(shifted, wanted)


def test_images_need_not_be_square():
    images = pictures(2)[:, :, :, :5]
    turned = move(images, [[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    torch.testing.assert_close(turned, images.rot90(2, (2, 3)))


def test_smooth_images_are_shifted_by_fractions():
    side = 33
    shifted = move(waves(1, side), [[1, 0, 0.3], [0, 1, 0], [0, 0, 1]])
    x = torch.arange(side) * torch.pi / (side - 1)
    wanted = torch.cos(2 * (x + 0.3 * torch.pi / (side - 1)))[None] * torch.cos(x)[:, None]
    torch.testing.assert_close(shifted[0, 0], wanted, atol=6e-3, rtol=0)


def test_zooming_out_mirrors_the_image_again_and_again():
    side = 33
    small = move(waves(1, side), [[5, 0, 0], [0, 5, 0], [0, 0, 1]])
    middle = torch.pi / 2
    x = 5 * (torch.arange(side) * torch.pi / (side - 1) - middle) + middle
    # The mirrored wave is the wave itself; between the samples it loses what bilinearity costs.
    wanted = torch.cos(2 * x)[None] * torch.cos(x)[:, None]
    assert torch.corrcoef(torch.stack([small.flatten(), wanted.flatten()]))[0, 1] > 0.99


def test_fine_patterns_fade_when_they_get_too_small():
    stripes = torch.ones(1, 1, 32, 32)
    stripes[..., ::2] = -1
    small = move(stripes, [[1.5, 0, 0], [0, 1.5, 0], [0, 0, 1]])  # beyond what pixels can show
    assert small[..., 8:24, 8:24].abs().max() < 0.2


def test_sampling_is_that_of_pytorch():
    images = pictures(3, 2, 7).double()
    positions = torch.rand(2, 3, 6, 6, dtype=torch.float64) * 50 - 25
    ours = sample_bilinearly(images, *positions)
    grid = positions.movedim(0, -1) / 3 - 1
    options = {"padding_mode": "reflection", "align_corners": True}
    torch.testing.assert_close(ours, F.grid_sample(images, grid, **options))


def test_positions_fold_at_the_outer_pixels():
    positions = torch.tensor([-4.0, -3, -1, 0, 2, 3, 3.5, 6, 7])
    assert mirror(positions, 4).tolist() == [2, 3, 1, 0, 2, 3, 2.5, 0, 1]


def test_gradients_are_those_of_finite_differences_twice():
    origins = torch.tensor([[[0.8, 0.3, 0.2], [-0.4, 1.1, 0.7], [0, 0, 1]]], dtype=torch.float64)
    images = pictures(1, 1, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: Resampler()(x, origins), (images,))
    assert torch.autograd.gradgradcheck(lambda x: Resampler()(x, origins), (images,))
