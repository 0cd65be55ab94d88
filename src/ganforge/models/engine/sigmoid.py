from __future__ import annotations

from torch import nn


def ends_in_sigmoid(discriminator: nn.Module) -> bool:
    """Whether the last layer is a sigmoid. All losses expect raw logits."""
    layers = [layer for layer in discriminator.modules() if not list(layer.children())]
    return bool(layers) and isinstance(layers[-1], nn.Sigmoid)
