from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from ganforge.networks.layers.initialization import Weighted, weighted_layers
from ganforge.networks.layers.normalization import conditioning_layers


def normalize_spectrum(network: nn.Module) -> None:
    """Applies spectral normalization to all convolutions, linear layers and embeddings.

    Miyato et al. 2018, arXiv:1802.05957: weights are divided by their largest singular value, as
    matrices [C_out, all other dimensions], with one power iteration per forward pass in training.
    Layers that condition norms are excluded: they start at 0, and the singular value would be 0.
    """
    for layer in _normalizable(network).values():
        spectral_norm(layer)


def unnormalized_weights(network: nn.Module) -> list[str]:
    """Returns the names of the layers to which :func:`normalize_spectrum` was not applied yet."""
    layers = _normalizable(network)
    return [name for name, layer in layers.items() if not is_parametrized(layer, "weight")]


def _normalizable(network: nn.Module) -> dict[str, Weighted]:
    conditioning = conditioning_layers(network)
    return {n: layer for n, layer in weighted_layers(network).items() if layer not in conditioning}
