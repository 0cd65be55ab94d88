from __future__ import annotations

import math

import pytest
import torch

from ganforge.augment import recolouring
from ganforge.augment.geometric import is_identity
from ganforge.augment.recolouring import apply_colours
from ganforge.streams import Noise
from tests.augment.pictures import ALWAYS, NEVER, pictures

N = 2000
DRAWS = {
    "brightness": recolouring.brightness,
    "contrast": recolouring.contrast,
    "luma_flip": recolouring.luma_flip,
    "hue_rotation": recolouring.hue_rotation,
    "saturation": recolouring.saturation,
}
V = torch.ones(3) / math.sqrt(3)  # the luma axis
ACROSS = torch.eye(3) - torch.outer(V, V)


def drawn(name: str, p: float = 1.0) -> torch.Tensor:
    return DRAWS[name](Noise(6, N), torch.tensor(p))


@pytest.mark.parametrize("name", DRAWS)
def test_nothing_changes_at_p_0(name):
    assert is_identity(DRAWS[name](Noise(6, 50), NEVER)).all()


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("p", [0.2, 0.7])
def test_as_many_change_as_p_says(name, p):
    share = 0.5 if name == "luma_flip" else 1.0
    changed = (~is_identity(drawn(name, p))).float().mean().item()
    assert changed == pytest.approx(share * p, abs=0.04)


def test_brightness_and_contrast():
    b, c = drawn("brightness"), drawn("contrast")
    noise = Noise(6, N).normal()
    torch.testing.assert_close(b[:, :3, 3], (0.2 * noise)[:, None].expand(N, 3))
    torch.testing.assert_close(b[:, :3, :3], torch.eye(3).expand(N, 3, 3))
    torch.testing.assert_close(c[:, :3, :3], torch.exp2(0.5 * noise)[:, None, None] * torch.eye(3))


def test_the_luma_flip_is_a_householder_reflection():
    flips = drawn("luma_flip")[:, :3, :3]
    flipped = Noise(6, N).integers(2).bool()
    torch.testing.assert_close(flips[flipped][0], torch.eye(3) - 2 * torch.outer(V, V))
    torch.testing.assert_close(flips[~flipped][0], torch.eye(3))


def test_hue_rotation_turns_around_the_luma_axis():
    turns = drawn("hue_rotation")[:, :3, :3]
    angles = math.pi * (2 * Noise(6, N).uniform() - 1)
    torch.testing.assert_close(turns @ V, V.expand(N, 3))  # luma stays
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(N, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(N))
    # The trace of a rotation is 1 + 2 cos(angle); its sense is that of the cross product.
    torch.testing.assert_close(
        turns.diagonal(dim1=1, dim2=2).sum(1), 1 + 2 * torch.cos(angles), atol=1e-5, rtol=0
    )
    side = torch.tensor([1.0, -1.0, 0.0]) / math.sqrt(2)
    sines = (turns @ side) @ torch.linalg.cross(V, side)
    torch.testing.assert_close(sines, torch.sin(angles), atol=1e-5, rtol=0)


def test_saturation_scales_across_the_luma_axis():
    factors = torch.exp2(Noise(6, N).normal())[:, None, None]
    wanted = torch.outer(V, V) + factors * ACROSS
    torch.testing.assert_close(drawn("saturation")[:, :3, :3], wanted)


def test_colours_are_composed_in_the_papers_order():
    noise, p = Noise(4, 6), torch.tensor(0.8)
    wanted = torch.eye(4)
    for change in DRAWS.values():
        wanted = change(noise, p) @ wanted
    torch.testing.assert_close(recolouring.recolour(Noise(4, 6), p), wanted)


def test_pixels_are_mapped_by_their_images_matrix():
    images, colours = pictures(5), recolouring.recolour(Noise(4, 5), ALWAYS)
    pixels = torch.cat([images, torch.ones(5, 1, 8, 8)], 1)
    wanted = torch.einsum("bij,bjhw->bihw", colours, pixels)[:, :3]
    torch.testing.assert_close(apply_colours(images, colours), wanted)


def test_grey_images_change_as_grey_colours_do():
    grey, colours = pictures(5, channels=1), recolouring.recolour(Noise(4, 5), ALWAYS)
    coloured = apply_colours(grey.expand(5, 3, 8, 8), colours)
    torch.testing.assert_close(apply_colours(grey, colours), coloured.mean(1, keepdim=True))


@pytest.mark.parametrize("name", ["hue_rotation", "saturation"])
def test_hue_and_saturation_leave_grey_images(name):
    grey = pictures(5, channels=1)
    changed = apply_colours(grey, DRAWS[name](Noise(4, 5), ALWAYS))
    torch.testing.assert_close(changed, grey)


def test_a_fourth_channel_stays():
    images, colours = pictures(5, channels=4), recolouring.recolour(Noise(4, 5), ALWAYS)
    changed = apply_colours(images, colours)
    assert torch.equal(changed[:, 3], images[:, 3])
    torch.testing.assert_close(changed[:, :3], apply_colours(images[:, :3], colours))
