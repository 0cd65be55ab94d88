from __future__ import annotations

import math
from collections.abc import Collection

import pytest
import torch

from ganforge.augment.changes import COLOUR, MOVEMENTS, Amounts, draw
from ganforge.augment.recolouring import apply_colours, recolour
from ganforge.streams import Noise
from tests.augment import chain
from tests.augment.pictures import pictures

N = 2000
V = torch.ones(3) / math.sqrt(3)  # the luma axis
ACROSS = torch.eye(3) - torch.outer(V, V)


def colours(names: Collection[str], p: float, noise: Noise) -> torch.Tensor:
    return recolour(Amounts()(*draw(noise, names), torch.tensor(p))[MOVEMENTS:])


def drawn(name: str, p: float = 1.0, n: int = N) -> torch.Tensor:
    """Transformations [n, 3, 4] with one of the changes alone."""
    return colours({name}, p, Noise(6, n))


def changed(transformations: torch.Tensor) -> torch.Tensor:
    return (transformations != torch.eye(3, 4)).flatten(1).any(1)


@pytest.mark.parametrize("name", COLOUR)
def test_nothing_changes_at_p_0(name):
    assert not changed(drawn(name, 0.0, 50)).any()


@pytest.mark.parametrize("name", COLOUR)
@pytest.mark.parametrize("p", [0.2, 0.7])
def test_as_many_change_as_p_says(name, p):
    share = 0.5 if name == "luma_flip" else 1.0
    assert changed(drawn(name, p)).float().mean().item() == pytest.approx(share * p, abs=0.04)


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


@pytest.mark.parametrize("p", [0.2, 0.8])
def test_colours_are_the_papers_product_of_matrices(p):
    """On the same draws; the last factor is applied first."""
    reference, noise = Noise(4, 200), Noise(4, 200)
    wanted = chain.product(chain.recolour(reference, torch.tensor(p))[::-1])[:, :3]
    torch.testing.assert_close(colours(COLOUR, p, noise), wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(noise.normal(), reference.normal())  # as many draws


def test_pixels_are_mapped_by_their_images_matrix():
    images, mapped = pictures(5), colours(COLOUR, 1.0, Noise(4, 5))
    pixels = torch.cat([images, torch.ones(5, 1, 8, 8)], 1)
    wanted = torch.einsum("bij,bjhw->bihw", mapped, pixels)
    torch.testing.assert_close(apply_colours(images, mapped), wanted)


def test_grey_images_change_as_grey_colours_do():
    grey, mapped = pictures(5, channels=1), colours(COLOUR, 1.0, Noise(4, 5))
    coloured = apply_colours(grey.expand(5, 3, 8, 8), mapped)
    torch.testing.assert_close(apply_colours(grey, mapped), coloured.mean(1, keepdim=True))


@pytest.mark.parametrize("name", ["hue_rotation", "saturation"])
def test_hue_and_saturation_leave_grey_images(name):
    grey = pictures(5, channels=1)
    torch.testing.assert_close(apply_colours(grey, drawn(name, n=5)), grey)


def test_a_fourth_channel_stays():
    images, mapped = pictures(5, channels=4), colours(COLOUR, 1.0, Noise(4, 5))
    coloured = apply_colours(images, mapped)
    assert torch.equal(coloured[:, 3], images[:, 3])
    torch.testing.assert_close(coloured[:, :3], apply_colours(images[:, :3], mapped))
