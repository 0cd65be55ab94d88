"""Pixel blitting and geometric transformations: where a position of the result comes from."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ganforge.augment import geometric
from ganforge.augment.geometric import compose, is_identity, matrix, with_probability
from ganforge.augment.resampling import Resampler
from ganforge.streams import Noise
from tests.augment.pictures import ALWAYS, NEVER, pictures

N = 2000
SIZE = (16, 16)
DRAWS = {
    "flip": lambda noise, p: geometric.flip(noise, p),
    "quarter_turn": lambda noise, p: geometric.quarter_turn(noise, p),
    "whole_shift": lambda noise, p: geometric.whole_shift(noise, p, *SIZE),
    "scale": lambda noise, p: geometric.scale(noise, p),
    "turn": lambda noise, p: geometric.turn(noise, p),
    "stretch": lambda noise, p: geometric.stretch(noise, p),
    "shift": lambda noise, p: geometric.shift(noise, p, *SIZE),
}
# Of what is drawn, the share that changes nothing: an unflipped flip, a shift by (0, 0).
NEUTRAL = {"flip": 1 / 2, "quarter_turn": 1 / 4, "whole_shift": 1 / 16}


def drawn(name: str, p: float = 1.0, n: int = N) -> torch.Tensor:
    return DRAWS[name](Noise(6, n), torch.tensor(p))


@pytest.mark.parametrize("name", DRAWS)
def test_nothing_moves_at_p_0(name):
    assert is_identity(DRAWS[name](Noise(6, 50), NEVER)).all()


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("p", [0.2, 0.7])
def test_as_many_move_as_p_says(name, p):
    moved = (~is_identity(drawn(name, p))).float().mean().item()
    assert moved == pytest.approx(p * (1 - NEUTRAL.get(name, 0)), abs=0.04)


def test_either_turn_happens_with_probability_p():
    p = torch.tensor(0.64)
    half = 1 - torch.sqrt(1 - p)  # 0.4
    noise = Noise(2, N)
    before, after = geometric.turn(noise, half), geometric.turn(noise, half)
    either = ~is_identity(before) | ~is_identity(after)
    assert (~is_identity(before)).float().mean().item() == pytest.approx(0.4, abs=0.03)
    assert either.float().mean().item() == pytest.approx(0.64, abs=0.03)


def test_flips_are_flips():
    images, origins = pictures(20), geometric.flip(Noise(1, 20), ALWAYS)
    flipped = origins[:, 0, 0] < 0
    assert 0 < flipped.sum() < 20
    wanted = torch.where(flipped[:, None, None, None], images.flip(3), images)
    torch.testing.assert_close(Resampler()(images, origins), wanted)


def test_quarter_turns_are_quarter_turns():
    images, noise = pictures(20), Noise(1, 20)
    turned = Resampler()(images, geometric.quarter_turn(noise, ALWAYS))
    turns = Noise(1, 20).integers(4)
    assert set(turns.tolist()) == {0, 1, 2, 3}
    wanted = [image.rot90(int(k), (1, 2)) for image, k in zip(images, turns, strict=True)]
    torch.testing.assert_close(turned, torch.stack(wanted))


def test_whole_shifts_move_and_mirror():
    images, noise = pictures(20, side=16), Noise(1, 20)
    shifted = Resampler()(images, geometric.whole_shift(noise, ALWAYS, 16, 16))
    steps = torch.round(16 * 0.125 * (2 * Noise(1, 20).uniform(2) - 1)).long()
    assert set(steps.flatten().tolist()) == {-2, -1, 0, 1, 2}
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    wanted = [
        image.roll((int(down), int(right)), (1, 2))[:, 2:-2, 2:-2]
        for image, (right, down) in zip(padded, steps, strict=True)
    ]
    torch.testing.assert_close(shifted, torch.stack(wanted))


def test_turns_are_rotations_by_uniform_angles():
    turns = drawn("turn")
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(N))
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0])
    assert angles.std(correction=0).item() == pytest.approx(2 * math.pi / math.sqrt(12), rel=0.03)


def test_scales_are_log_normal():
    factors = 1 / drawn("scale")[:, 0, 0]
    assert factors.log2().mean().item() == pytest.approx(0, abs=0.015)
    assert factors.log2().std().item() == pytest.approx(0.2, rel=0.05)


def test_stretching_keeps_the_area():
    torch.testing.assert_close(torch.linalg.det(drawn("stretch")), torch.ones(N))


def test_shifts_are_an_eighth_of_the_side():
    moves = drawn("shift")[:, :2, 2]
    assert moves.std().item() == pytest.approx(16 / 8, rel=0.03)


def test_movements_are_composed_in_the_papers_order():
    """The last one is undone first: a position of the result is led back."""
    noise, half = Noise(3, 5), 1 - torch.sqrt(1 - torch.tensor(0.9))
    p = torch.tensor(0.9)
    steps = [geometric.scale(noise, p), geometric.turn(noise, half), geometric.stretch(noise, p)]
    steps += [geometric.turn(noise, half), geometric.shift(noise, p, *SIZE)]
    forward = torch.eye(3)
    for step in steps:
        forward = torch.linalg.inv(step) @ forward
    ours = geometric.deform(Noise(3, 5), p, *SIZE)
    torch.testing.assert_close(torch.linalg.inv(ours), forward, atol=1e-4, rtol=1e-4)


def test_matrices_are_composed_as_products():
    a, b = torch.randn(2, 4, 3, 3).unbind()
    torch.testing.assert_close(compose(a, b), a @ b)


def test_a_matrix_takes_numbers_and_draws():
    x = torch.tensor([1.0, 2.0])
    assert matrix([[x, 3], [4, -x]]).tolist() == [[[1, 3], [4, -1]], [[2, 3], [4, -2]]]


def test_probabilities_are_met_by_each_image():
    kept = with_probability(torch.tensor(0.3), Noise(0, N), torch.ones(N), 0.0)
    assert kept.mean().item() == pytest.approx(0.3, abs=0.03)
    assert set(kept.tolist()) == {0.0, 1.0}
