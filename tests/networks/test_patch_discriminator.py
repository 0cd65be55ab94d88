from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.patch_discriminator import (
    PatchDiscriminator,
    receptive_field,
    smallest_side,
)
from tests.networks.counting import blueprint, count

FIELDS = {0: 1, 1: 16, 2: 34, 3: 70, 4: 142, 5: 286}


def small(**options):
    torch.manual_seed(0)
    return PatchDiscriminator(3, **({"width": 2, "layers": 1} | options))


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


# ---------------------------------------------------------------------- as published


def test_parameters_of_the_originals():
    pix2pix = count(PatchDiscriminator, 6)
    assert pix2pix == count(PatchDiscriminator, 3, condition_channels=3) == 2_768_705
    cyclegan = count(PatchDiscriminator, 3, norm="instance")
    assert cyclegan == 2_764_737
    assert [round(number / 1e6, 3) for number in (pix2pix, cyclegan)] == [2.769, 2.765]


def test_parameters_of_the_pixel_gan():
    assert count(PatchDiscriminator, 6, layers=0) == (6 * 64 + 64) + (64 * 128 + 2 * 128) + 129


@pytest.mark.parametrize(
    ("layers", "widths"),
    [
        (0, [64, 128]),
        (1, [64, 128]),
        (3, [64, 128, 256, 512]),
        (5, [64, 128, 256, 512, 512, 512]),
    ],
)
def test_layers_of_the_originals(layers, widths):
    network = blueprint(PatchDiscriminator, 6, layers=layers)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [*widths, 1]
    assert [m.stride[0] for m in convolutions] == layers * [2] + (len(widths) + 1 - layers) * [1]
    assert {m.kernel_size[0] for m in convolutions} == {4 if layers else 1}
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m.num_features for m in norms] == widths[1:]


@torch.no_grad()
def test_the_formula_of_the_pixel_gan():
    """The same small network at each place."""
    network = small(layers=0, norm="none")
    for parameter in network.parameters():
        parameter.copy_(torch.randn_like(parameter))
    images = noise(2, 3, 4, 5)
    pixels = images.permute(0, 2, 3, 1)
    first, second, last = (m for m in network.modules() if isinstance(m, nn.Conv2d))
    for layer in (first, second):
        pixels = F.leaky_relu(F.linear(pixels, layer.weight[..., 0, 0], layer.bias), 0.2)
    expected = F.linear(pixels, last.weight[..., 0, 0], last.bias).permute(0, 3, 1, 2)
    torch.testing.assert_close(network(images), expected)


def test_weights_are_drawn_as_published():
    network = small(width=16, layers=3)
    weights = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 4])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


# ---------------------------------------------------------------------- the receptive field


@pytest.mark.parametrize(("layers", "side"), FIELDS.items())
def test_receptive_field_by_formula(layers, side):
    assert receptive_field(layers) == side
    assert blueprint(PatchDiscriminator, 3, layers=layers).receptive_field == side


@pytest.mark.parametrize(("layers", "size"), [(0, 5), (1, 24), (2, 48), (3, 96), (5, 320)])
def test_receptive_field_by_gradient(layers, size):
    """A logit in the middle depends on a full square of that side, and on nothing else."""
    torch.manual_seed(0)
    network = PatchDiscriminator(1, width=1, layers=layers, norm="none").double()
    images = noise(1, 1, size, size).double().requires_grad_()
    logits = network(images)
    middle = logits.shape[-1] // 2
    if layers == 5:
        middle = 3  # pixels 32 i - 95 to 32 i + 190, which must lie within the image
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], images)
    rows, columns = gradient[0, 0].nonzero(as_tuple=True)
    side = network.receptive_field
    assert 0 < rows.min() < size - side  # not cut off by the border
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == side
    assert len(rows) == side**2


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize("layers", range(6))
def test_shapes(layers):
    network = PatchDiscriminator(2, width=1, layers=layers)
    assert network(noise(2, 2, 256, 256)).shape[-1] == (
        256 if layers == 0 else 256 // 2**layers - 2
    )
    side = network.smallest
    assert network(noise(2, 2, side, side + 3)).shape[:3] == (2, 1, 2 if layers == 0 else 1)
    assert network.features(noise(2, 2, side, side)).shape == (2, network.to_logits.in_channels)
    if layers:
        with pytest.raises(ConfigError, match=f"at least {side} pixels, got {side - 1}"):
            network(noise(2, 2, side, side - 1))


def test_shapes_of_the_original():
    """30x30 logits of 256x256 pixels; odd sides are cut."""
    network = PatchDiscriminator(1, width=1)
    assert network(noise(1, 1, 256, 256)).shape == (1, 1, 30, 30)
    assert network(noise(1, 1, 63, 57)).shape == (1, 1, 5, 5)


def test_smallest_sides():
    assert [smallest_side(layers) for layers in range(6)] == [2, 6, 12, 24, 48, 96]


def test_refuses_training_images_that_are_too_small():
    assert PatchDiscriminator(3, width=1, layers=3, image_size=24).smallest == 24
    message = "layers=3 needs images of at least 24 pixels, got 16; legal layers: 0, 1, 2"
    with pytest.raises(ConfigError, match=message):
        PatchDiscriminator(3, width=1, layers=3, image_size=16)


@torch.no_grad()
def test_features_are_the_mean_of_the_last_map():
    network, images = small(layers=0), noise(2, 3, 6, 7)
    expected = network.to_logits(network.features(images)[:, :, None, None])[:, 0, 0, 0]
    torch.testing.assert_close(network(images).mean((1, 2, 3)), expected)


# ---------------------------------------------------------------------- learning


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_second_derivatives_are_right(norm):
    network = small(norm=norm).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(20)  # away from where everything is nearly 0
    images = noise(1, 3, 8, 8).double().requires_grad_()
    assert torch.autograd.gradgradcheck(network, images, fast_mode=True)


@torch.no_grad()
def test_spectral_norm_keeps_the_top_singular_value_at_one():
    network = small(layers=3, width=4, norm="none", spectral_norm=True)
    for _ in range(60):
        network(noise(1, 3, 24, 24))
    network.eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            top = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
            assert top == pytest.approx(1, abs=0.02)
