from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ganforge.networks.layers.upfirdn2d import Downsample, Upsample


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def up(features):
    return Upsample().to(features.dtype)(features)


def down(features):
    return Downsample().to(features.dtype)(features)


def test_the_filter():
    """[1, 2, 1] * [1, 1] = [1, 3, 3, 1] in both directions."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    point = torch.zeros(1, 1, 4, 4)
    point[0, 0, 1, 2] = 1
    torch.testing.assert_close(up(point)[0, 0, 1:5, 3:7], 4 * row[:, None] * row)
    assert up(point).sum() == 4


def test_up_is_bilinear_interpolation_within_the_border():
    features = images(2, 3, 6, 6)
    expected = F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(up(features)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_up_repeats_and_smooths():
    features = images(1, 2, 4, 4)
    row = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    smooth = (row[:, None] * row).expand(2, 1, 3, 3)
    repeated = F.interpolate(features, scale_factor=2.0, mode="nearest")
    torch.testing.assert_close(up(features), F.conv2d(repeated, smooth, padding=1, groups=2))


def test_down_smooths_and_takes_means():
    features = images(1, 2, 8, 8)
    row = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    smooth = (row[:, None] * row).expand(2, 1, 3, 3)
    # Beyond the border are zeros, to both filters at once: so the smoothed image is one wider.
    smoothed = F.conv2d(F.pad(features, (2, 2, 2, 2)), smooth, groups=2)
    expected = F.avg_pool2d(smoothed[..., 1:-1, 1:-1], 2)
    torch.testing.assert_close(down(features)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


@pytest.mark.parametrize("resample", [up, down])
def test_constants_stay(resample):
    inner = resample(torch.full((1, 1, 8, 8), 3.0))[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 3.0))


def test_one_is_the_transpose_of_the_other():
    """<up(x), y> = 4 <x, down(y)>: gradients flow through one as images through the other."""
    small, large = images(2, 3, 4, 4), images(2, 3, 8, 8, seed=1)
    torch.testing.assert_close((up(small) * large).sum(), 4 * (small * down(large)).sum())


def test_nothing_is_learned_or_saved():
    for layer in (Upsample(), Downsample()):
        assert list(layer.parameters()) == []
        assert layer.state_dict() == {}


@pytest.mark.parametrize("resample", [up, down])
def test_differentiable_twice(resample):
    assert torch.autograd.gradgradcheck(resample, images(1, 2, 4, 4).requires_grad_(True))
