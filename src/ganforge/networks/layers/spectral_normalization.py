from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from ganforge.networks.layers.conditional_normalization import steering_layers


def normalize_spectrum(network: nn.Module) -> None:
    """Divides every convolution's, linear and embedding weight by its largest singular value.

    Miyato et al. 2018, arXiv:1802.05957: one power iteration at each forward pass in training.
    The singular value is that of the weight as a matrix [C_out, everything else]. What steers a
    conditional norm is left alone: it starts at 0, which has no spectrum to divide by.
    """
    steering = steering_layers(network)
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)) and (
            module not in steering
        ):
            spectral_norm(module)


def unnormalized_weights(network: nn.Module) -> list[str]:
    """Returns the names of the layers that :func:`normalize_spectrum` would still change."""
    steering = steering_layers(network)
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding))
        and module not in steering
        and not is_parametrized(module, "weight")
    ]
