from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.models.engine.lazy import corrected, lazy_updates


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [([], 0), ([16], 1), ([4, 4], 1), ([2, 3], 4), ([4, 16], 4)],
)
def test_how_many_updates_a_period_has_for_penalties_alone(intervals, expected):
    """Of 2 and 3 they are 0, 2, 3 and 4 of every 6; 16 is a multiple of 4."""
    assert lazy_updates(intervals) == expected


@pytest.mark.parametrize("interval", [4, 16])
def test_adam_is_corrected_by_k_over_k_plus_1(interval):
    """lr c, beta^c; 0 stays 0."""
    parameters = [nn.Parameter(torch.zeros(2))]
    adam = torch.optim.Adam(parameters, lr=0.002, betas=(0.0, 0.99))
    share = interval / (interval + 1)
    assert corrected(adam, interval, 1) is adam
    for settings in (adam.defaults, adam.param_groups[0]):
        assert settings["lr"] == pytest.approx(0.002 * share)
        assert settings["betas"] == pytest.approx((0.0, 0.99**share))


def test_memory_and_speed_in_images_stay_the_same():
    """k + 1 corrected updates forget as much and go as far as k others."""
    adam = torch.optim.Adam([nn.Parameter(torch.zeros(2))], lr=0.002, betas=(0.5, 0.99))
    settings = corrected(adam, 4, 1).defaults
    lr, betas = settings["lr"], settings["betas"]
    assert lr * 5 == pytest.approx(0.002 * 4)
    assert [beta**5 for beta in betas] == pytest.approx([0.5**4, 0.99**4])


def test_without_further_updates_nothing_changes():
    sgd = corrected(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1), 1, 0)
    assert sgd.defaults["lr"] == sgd.param_groups[0]["lr"] == 0.1
