from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.models.engine.freezing import frozen


def flags(module: nn.Module) -> list[bool]:
    return [p.requires_grad for p in module.parameters()]


def test_gradients_pass_through_frozen_weights_and_stay_out_of_them():
    layer, images = nn.Linear(3, 2), torch.ones(1, 3, requires_grad=True)
    with frozen(layer):
        assert flags(layer) == [False, False]
        layer(images).sum().backward()
    assert flags(layer) == [True, True]
    assert layer.weight.grad is None
    assert torch.equal(images.grad, layer.weight.detach().sum(0, keepdim=True))


def test_weights_are_freed_after_an_exception():
    layer = nn.Linear(3, 2)
    with pytest.raises(ZeroDivisionError), frozen(layer):
        raise ZeroDivisionError
    assert flags(layer) == [True, True]


def test_what_was_frozen_before_stays_frozen():
    layers = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1).requires_grad_(False))
    with frozen(layers):
        pass
    assert flags(layers) == [True, True, False, False]


def test_blocks_may_be_nested():
    layer = nn.Linear(3, 2)
    with frozen(layer):
        with frozen(layer):
            pass
        assert flags(layer) == [False, False]
    assert flags(layer) == [True, True]
