from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from ganforge.networks.layers.conditional_normalization import steering_layers


def normalize_spectrum(network: nn.Module) -> None:
    """Applies spectral normalization to all convolutions, linear layers and embeddings.

    Miyato et al. 2018, arXiv:1802.05957: weights are divided by their largest singular value, as
    matrices [C_out, all other dimensions], with one power iteration per forward pass in training.
    Layers that condition norms are excluded: they start at 0, and the singular value would be 0.
    """
    steering = steering_layers(network)
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)) and (
            module not in steering
        ):
            spectral_norm(module)


def unnormalized_weights(network: nn.Module) -> list[str]:
    """Returns the names of the layers to which :func:`normalize_spectrum` was not applied yet."""
    steering = steering_layers(network)
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding))
        and module not in steering
        and not is_parametrized(module, "weight")
    ]
