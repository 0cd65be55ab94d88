from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.networks.layers.progressive import GrowthLevel, double, halve


def test_doubling_repeats_and_halving_averages():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])
    rows = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 5, 5], [3, 3, 5, 5]]
    assert double(image)[0, 0].tolist() == rows
    assert halve(image).item() == 11 / 4
    assert torch.equal(halve(double(image)), image)


@pytest.mark.parametrize(
    ("level", "stage", "fading", "alpha"),
    [(0, 0, False, 1), (0.25, 1, True, 0.25), (2, 2, False, 1), (2.75, 3, True, 0.75)],
)
def test_levels(level, stage, fading, alpha):
    growth = GrowthLevel(3)
    growth.set(level)
    assert (growth.stage, growth.fading, growth.alpha.item()) == (stage, fading, alpha)


def test_it_starts_at_full_size_and_is_not_saved():
    growth = GrowthLevel(3)
    assert (growth.stage, growth.fading) == (3, False)
    assert growth.state_dict() == {}


def test_fade_by_hand():
    growth = GrowthLevel(1)
    growth.set(0.25)
    below, above = torch.tensor([4.0, 0.0]), torch.tensor([8.0, 1.0])
    assert growth.fade(below, above).tolist() == [5.0, 0.25]
    half = growth.fade(below.bfloat16(), above.bfloat16())
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize("level", [-0.1, 3.01])
def test_refuses_levels_that_there_are_not(level):
    with pytest.raises(ConfigError, match=r"level must be in \[0, 3\]"):
        GrowthLevel(3).set(level)


@pytest.mark.parametrize("change", [double, halve])
def test_differentiable_twice(change):
    image = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    squared = lambda x: change(x).square()  # noqa: E731
    assert torch.autograd.gradcheck(squared, image)
    assert torch.autograd.gradgradcheck(squared, image)
