from __future__ import annotations

import torch
from torch import Tensor

from ganforge.regularizers.context import Critic


def input_gradient(critic: Critic, images: Tensor) -> Tensor:
    """Returns d critic(x_i) / d x_i, [B, ...] like ``images``, itself differentiable.

    The gradient of the sum over the batch contains each sample's own gradient, as long as the
    critic does not mix samples (batch normalization does).

    Args:
        critic: maps images [B, ...] to logits [B].
        images: [B, ...]; no gradient flows back to them.
    """
    with torch.enable_grad():
        inputs = images.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(inputs).sum(), inputs, create_graph=True)
    return gradient


def squared_norm(gradient: Tensor) -> Tensor:
    """Returns |g_i|^2, [B], of gradients [B, ...]. Flattening would copy channels_last tensors."""
    return gradient.square().sum(dim=tuple(range(1, gradient.ndim)))


def norm(gradient: Tensor) -> Tensor:
    """Returns |g_i|, [B], of gradients [B, ...]; its derivative at 0 is 0, not infinite."""
    norms: Tensor = torch.linalg.vector_norm(gradient, dim=tuple(range(1, gradient.ndim)))
    return norms
