from __future__ import annotations

import pytest
import torch

from ganforge.models.style_based import crossovers, mixed
from ganforge.streams import Noise


def test_layers_before_the_crossover_see_the_first_style_and_later_ones_the_second():
    first, second = torch.zeros(3, 4, 2), torch.ones(3, 4, 2)
    ws = mixed(first, second, torch.tensor([1, 3, 4]))
    assert ws[:, :, 0].tolist() == [[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert torch.equal(ws[:, :, 0], ws[:, :, 1])


@pytest.mark.parametrize("probability", [0.0, 0.9, 1.0])
def test_crossovers_are_uniform_between_the_first_and_the_last_layer(probability):
    layers = crossovers(Noise(0, 8000), 5, probability)
    shares = [(layers == layer).float().mean().item() for layer in range(6)]
    each = probability / 4
    assert shares == pytest.approx([0, each, each, each, each, 1 - probability], abs=0.015)


def test_a_single_layer_has_no_crossover():
    assert crossovers(Noise(0, 3), 1, 1.0).tolist() == [1, 1, 1]


def test_crossovers_belong_to_their_rows():
    whole = crossovers(Noise(1, 6), 8, 0.9)
    parts = [crossovers(part, 8, 0.9) for part in Noise(1, 6).split(3)]
    assert torch.equal(torch.cat(parts), whole)
    ranks = [crossovers(Noise(1, 3, rank=rank, world=2), 8, 0.9) for rank in (0, 1)]
    assert torch.equal(torch.stack(ranks, 1).flatten(), whole)
