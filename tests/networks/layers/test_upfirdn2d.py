from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from ganforge.errors import ConfigError
from ganforge.networks.layers.upfirdn2d import (
    Downsample,
    Upsample,
    downsample2d,
    filter_kernel,
    upfirdn2d,
    upsample2d,
)

UNEVEN = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)  # no symmetry to hide behind
BILINEAR = filter_kernel().double()


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_definition(x, kernel, up, down, padding, gain):
    """Every pixel by itself: zeros between and around, then the sum over all taps."""
    left, right, top, bottom = padding
    pixels, weights = x.tolist(), kernel.tolist()
    batch, channels, height, width = x.shape
    taps, tall, wide = len(kernel), height * up + top + bottom, width * up + left + right

    def at(b, c, i, j):
        """The upsampled and padded image; negative padding has cut some of it away."""
        row, column = i - top, j - left
        inside = 0 <= row < height * up and 0 <= column < width * up
        on_pixel = row % up == 0 and column % up == 0
        return pixels[b][c][row // up][column // up] if inside and on_pixel else 0.0

    shape = (batch, channels, (tall - taps) // down + 1, (wide - taps) // down + 1)
    y = torch.zeros(shape, dtype=torch.float64)
    for b, c, i, j in itertools.product(*map(range, shape)):
        for m, n in itertools.product(range(taps), repeat=2):
            factor = weights[taps - 1 - m] * weights[taps - 1 - n]
            y[b, c, i, j] += gain * factor * at(b, c, i * down + m, j * down + n)
    return y


@pytest.mark.parametrize("kernel", [UNEVEN, BILINEAR])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (2, 3), (3, 2)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (2, 1, 3, 0), (-1, 2, 1, -1)])
def test_every_pixel_is_as_defined(kernel, up, down, padding):
    x = images(1, 2, 4, 5)
    expected = by_definition(x, kernel, up, down, padding, 3.0)
    ours = upfirdn2d(x, kernel, up, down, padding, 3.0)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2)])
def test_derivatives_of_both_orders(up, down):
    x = images(1, 2, 3, 4).requires_grad_(True)

    def filtered(pixels):
        # Squared, so that there is a second derivative.
        return upfirdn2d(pixels, UNEVEN, up, down, (1, 2, 2, 1), 2.0).square()

    assert gradcheck(filtered, x)
    assert gradgradcheck(filtered, x)


@pytest.mark.parametrize("taps", [[1.0], [1.0, 1.0], [1.0, 3.0, 3.0, 1.0], [1.0, 2.0, 1.0]])
def test_brightness_is_preserved(taps):
    """All of one value stay so, away from the border."""
    kernel, x = filter_kernel(taps).double(), torch.full((1, 1, 8, 8), 0.7, dtype=torch.float64)
    down = downsample2d(x, kernel)
    assert down.shape == (1, 1, 4, 4)
    torch.testing.assert_close(down[..., 1:-1, 1:-1], x[..., :2, :2])
    if len(taps) % 2 == 0:  # a filter of odd length leaves the zeros between pixels to be seen
        up = upsample2d(x, kernel)
        assert up.shape == (1, 1, 16, 16)
        torch.testing.assert_close(up[..., 2:-2, 2:-2], x.new_full((1, 1, 12, 12), 0.7))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_type(dtype):
    x = images(1, 2, 6, 6)
    low = upfirdn2d(x.to(dtype), filter_kernel(), padding=(2, 1, 2, 1))
    assert low.dtype == dtype
    expected = upfirdn2d(x, BILINEAR, padding=(2, 1, 2, 1))
    torch.testing.assert_close(low.double(), expected, atol=0.03, rtol=0.03)


def test_memory_layout_makes_no_difference():
    x = images(2, 3, 6, 6)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(upsample2d(last, BILINEAR), upsample2d(x, BILINEAR))


@pytest.mark.parametrize("resample", [upsample2d, downsample2d])
def test_one_graph(resample):
    """torch.compile finds nothing that would break its graph."""
    torch.compiler.reset()
    compiled = torch.compile(resample, backend="eager", fullgraph=True)
    x = images(1, 2, 4, 4)
    torch.testing.assert_close(compiled(x, BILINEAR), resample(x, BILINEAR))


@pytest.mark.parametrize("taps", [[], [1.0, -1.0]])
def test_refuses_taps(taps):
    with pytest.raises(ConfigError, match="taps must be numbers whose sum is not 0"):
        filter_kernel(taps)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("up", "down"), [(2, 1), (1, 2)])
def test_half_precision_on_the_cpu_rounds_results_only(half, up, down):
    x = images(2, 3, 6, 6).to(half).requires_grad_()
    exact = x.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = upfirdn2d(x, filter_kernel(), up, down, (2, 1, 2, 1))
        theirs = upfirdn2d(exact, filter_kernel(), up, down, (2, 1, 2, 1))
    assert (ours.dtype, theirs.dtype) == (half, torch.float32)
    assert torch.equal(ours, theirs.to(half))
    ours.float().square().sum().backward()
    theirs.to(half).float().square().sum().backward()
    assert torch.equal(x.grad, exact.grad.to(half))


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
