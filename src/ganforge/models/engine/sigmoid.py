from __future__ import annotations

from torch import nn


def ends_in_sigmoid(discriminator: nn.Module) -> bool:
    """Whether the last layer squashes the logits. Every loss here expects them raw."""
    layers = [layer for layer in discriminator.modules() if not list(layer.children())]
    return bool(layers) and isinstance(layers[-1], nn.Sigmoid)
