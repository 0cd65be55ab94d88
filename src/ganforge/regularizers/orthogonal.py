from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganforge.errors import require
from ganforge.networks.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer

PLAYERS = ("generator", "discriminator")

# Embeddings are left out, as in the authors' code: their rows belong to labels and are not filters
# applied to the same input.
_EQUALIZED = (EqualizedLinear, EqualizedConv2d)
_FILTERING = (nn.Linear, nn.modules.conv._ConvNd, *_EQUALIZED)


class Orthogonal(Regularizer):
    """|W W^T * (1 - I)|_F^2, summed over layers: makes the filters of a layer orthogonal.

    The relaxed form of Brock et al. 2019, arXiv:1809.11096, eq. 3: only off-diagonal entries are
    penalized, so the norms of filters are free. A row of W is one filter: all weights of one
    output. It uses the weights that the optimizer sees: in a spectrally normalized layer, those
    before normalization. Layers with an equalized learning rate use the scaled weights instead,
    because products of the stored ones grow with their number.

    Args:
        weight: the paper's beta.
        every: apply at every n-th update of the player, n times as strongly.
        player: network to regularize, generator or discriminator.
    """

    second_order = False

    def __init__(self, weight: float = 1e-4, every: int = 1, player: str = "generator") -> None:
        super().__init__(weight, every)
        require(player in PLAYERS, f"Orthogonal: player must be one of {PLAYERS}, got {player!r}")
        self.player = player

    def check(self, player: nn.Module) -> None:
        """Raises ConfigError if ``player`` has no linear or convolutional layer."""
        kind = type(player).__name__
        require(bool(_layers(player)), f"Orthogonal: {kind} has no linear or convolutional layer")

    def term(self, context: UpdateContext) -> Tensor:
        """Returns |W W^T * (1 - I)|_F^2 summed over the player's layers, a scalar."""
        layers = _layers(cast(nn.Module, getattr(context, self.player)))
        return torch.stack([overlap(filters(layer)) for layer in layers]).sum()


def filters(layer: nn.Module) -> Tensor:
    """Returns a layer's filters as rows, [groups, C_out / groups, weights of a filter].

    Filters of different groups have different inputs and are not compared.
    """
    weight = _trained_weight(layer)
    groups = getattr(layer, "groups", 1)
    weight = weight.reshape(groups, -1, *weight.shape[1:])
    if getattr(layer, "transposed", False):  # [C_in, C_out / groups, ...]
        weight = weight.transpose(1, 2)
    return weight.flatten(2)


def overlap(rows: Tensor) -> Tensor:
    """Returns |W W^T * (1 - I)|_F^2, a scalar, of [..., rows, length]."""
    products = rows @ rows.mT
    others = 1 - torch.eye(rows.shape[-2], dtype=rows.dtype, device=rows.device)
    squared: Tensor = (products * others).square().sum()
    return squared


def _trained_weight(layer: nn.Module) -> Tensor:
    if isinstance(layer, _EQUALIZED):
        return layer.weight * layer.scale
    # Reading the normalized weight in training mode would run one more power iteration.
    if parametrize.is_parametrized(layer, "weight"):
        return cast(Tensor, cast(nn.ModuleDict, layer.parametrizations)["weight"].original)
    return cast(Tensor, layer.weight)


def _layers(player: nn.Module) -> list[nn.Module]:
    return [module for module in player.modules() if isinstance(module, _FILTERING)]
