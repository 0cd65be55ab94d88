"""Pixel blitting and geometric transformations: where a position of the result comes from."""

from __future__ import annotations

import math
from collections.abc import Collection

import pytest
import torch
from torch.nn import functional as F

from ganforge.augment.changes import BLIT, GEOMETRY, MOVEMENTS, Amounts, draw
from ganforge.augment.geometric import Movements, product
from ganforge.augment.resampling import Resampler
from ganforge.streams import Noise
from tests.augment import chain
from tests.augment.pictures import pictures

N = 2000
SIZE = (16, 16)
NAMES = (*BLIT, *GEOMETRY)
# Of what is drawn, the share that changes nothing: an unflipped flip, a shift by (0, 0).
NEUTRAL = {"flip": 1 / 2, "quarter_turn": 1 / 4, "whole_shift": 1 / 16}


def amounts(names: Collection[str], p: float, noise: Noise) -> torch.Tensor:
    return Amounts()(*draw(noise, names), torch.tensor(p))[:MOVEMENTS]


def drawn(
    name: str, p: float = 1.0, n: int = N, seed: int = 6, size: tuple[int, int] = SIZE
) -> torch.Tensor:
    """Transformations [n, 2, 3] with one of the changes alone."""
    return Movements()(amounts({name}, p, Noise(seed, n)), *size)


def moved(origins: torch.Tensor) -> torch.Tensor:
    return ~Movements().unmoved(origins)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_moves_at_p_0(name):
    assert not moved(drawn(name, 0.0, 50)).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [0.2, 0.7])
def test_as_many_move_as_p_says(name, p):
    share = moved(drawn(name, p)).float().mean().item()
    wanted = 1 - math.sqrt(1 - p) if "turn" in name and name != "quarter_turn" else p
    assert share == pytest.approx(wanted * (1 - NEUTRAL.get(name, 0)), abs=0.04)


def test_either_turn_happens_with_probability_p():
    turns = amounts({"turn", "second_turn"}, 0.64, Noise(2, N))
    before, after = turns[8] != 0, turns[9] != 0
    assert before.float().mean().item() == pytest.approx(0.4, abs=0.03)
    assert (before | after).float().mean().item() == pytest.approx(0.64, abs=0.03)


def test_flips_are_flips():
    images, origins = pictures(20), drawn("flip", n=20, seed=1)
    flipped = origins[:, 0, 0] < 0
    assert 0 < flipped.sum() < 20
    wanted = torch.where(flipped[:, None, None, None], images.flip(3), images)
    torch.testing.assert_close(Resampler()(images, origins), wanted)


def test_quarter_turns_are_quarter_turns():
    images = pictures(20)
    turned = Resampler()(images, drawn("quarter_turn", n=20, seed=1))
    turns = Noise(1, 20).integers(4)
    assert set(turns.tolist()) == {0, 1, 2, 3}
    wanted = [image.rot90(int(k), (1, 2)) for image, k in zip(images, turns, strict=True)]
    torch.testing.assert_close(turned, torch.stack(wanted))


def test_whole_shifts_move_and_mirror():
    images = pictures(20, side=16)
    shifted = Resampler()(images, drawn("whole_shift", n=20, seed=1))
    steps = torch.round(16 * 0.125 * (2 * Noise(1, 20).uniform(2) - 1)).long()
    assert set(steps.flatten().tolist()) == {-2, -1, 0, 1, 2}
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    wanted = [
        image.roll((int(down), int(right)), (1, 2))[:, 2:-2, 2:-2]
        for image, (right, down) in zip(padded, steps, strict=True)
    ]
    torch.testing.assert_close(shifted, torch.stack(wanted))


def test_turns_are_rotations_by_uniform_angles():
    turns = drawn("turn")[:, :, :2]
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(N))
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0])
    assert angles.std(correction=0).item() == pytest.approx(2 * math.pi / math.sqrt(12), rel=0.03)


def test_scales_are_log_normal():
    factors = 1 / drawn("scale")[:, 0, 0]
    assert factors.log2().mean().item() == pytest.approx(0, abs=0.015)
    assert factors.log2().std().item() == pytest.approx(0.2, rel=0.05)


def test_stretching_keeps_the_area():
    torch.testing.assert_close(torch.linalg.det(drawn("stretch")[:, :, :2]), torch.ones(N))


def test_shifts_are_an_eighth_of_the_side():
    moves = drawn("shift", size=(32, 16))[:, :, 2]
    assert moves[:, 0].std().item() == pytest.approx(16 / 8, rel=0.03)
    assert moves[:, 1].std().item() == pytest.approx(32 / 8, rel=0.03)


@pytest.mark.parametrize("p", [0.2, 0.9])
@pytest.mark.parametrize("names", [BLIT, GEOMETRY, NAMES])
def test_movements_are_the_papers_product_of_matrices(names, p):
    """On the same draws; the last one is undone first: a position of the result is led back."""
    size, reference, factors = (12, 20), Noise(3, 200), []
    if "flip" in names:
        factors += chain.blit(reference, torch.tensor(p), *size)
    if "scale" in names:
        factors += chain.deform(reference, torch.tensor(p), *size)
    noise = Noise(3, 200)
    ours = Movements()(amounts(names, p, noise), *size)
    torch.testing.assert_close(ours, chain.product(factors)[:, :2], atol=1e-5, rtol=1e-5)
    assert torch.equal(noise.normal(), reference.normal())  # as many draws
    assert torch.equal(moved(ours), ~(chain.product(factors) == torch.eye(3)).flatten(1).all(1))


def test_products_are_products():
    a, b = torch.randn(2, 3, 4), torch.randn(3, 5, 4)
    wanted = a.permute(2, 0, 1) @ b.permute(2, 0, 1)
    torch.testing.assert_close(product(a, b).permute(2, 0, 1), wanted)
