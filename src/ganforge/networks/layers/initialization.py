from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import is_parametrized

from ganforge.networks.layers.normalization import conditioning_layers
from ganforge.networks.layers.spectral_norm import normalize_weight

Weighted = nn.Linear | _ConvNd | nn.Embedding
_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


def weighted_layers(network: nn.Module) -> dict[str, Weighted]:
    """Returns the convolutions, linear layers and embeddings of a network, by name."""
    return {name: one for name, one in network.named_modules() if isinstance(one, Weighted)}


def initialize_weights(network: nn.Module, draw: Callable[[Tensor], object]) -> None:
    """Initializes all weights of convolutions, linear layers and embeddings; biases are set to 0.

    The layers that condition norms are included: a zero weight has largest singular value 0 and
    could not be spectrally normalized. Call this before spectral normalization is applied.

    Args:
        network: network that is changed in place.
        draw: function that fills a weight in place.
    """
    for layer in weighted_layers(network).values():
        draw(layer.weight)
        _zero_bias(layer)


def initialize_normal(network: nn.Module, std: float = 0.02) -> None:
    """Initializes weights from N(0, std), gains of norms from N(1, std), and biases with 0.

    Radford et al. 2015, arXiv:1511.06434. Call this before spectral normalization is applied, which
    starts from the current weights. The layers that condition norms stay 0, so all classes start
    equal.
    """
    conditioning = conditioning_layers(network)
    for module in network.modules():
        if module in conditioning:
            continue
        if isinstance(module, Weighted):
            nn.init.normal_(module.weight, 0.0, std)
            _zero_bias(module)
        elif isinstance(module, _NORMS) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, std)
            _zero_bias(module)


def initialize_he(network: nn.Module, negative_slope: float = 0.0) -> None:
    """Initializes weights so that (leaky) ReLU layers preserve the variance; biases are set to 0.

    He et al. 2015, arXiv:1502.01852. For networks without normalization, in which the signal would
    shrink from layer to layer with N(0, 0.02).
    """
    draw = partial(nn.init.kaiming_normal_, a=negative_slope, nonlinearity="leaky_relu")
    initialize_weights(network, draw)


def initialize_glorot(network: nn.Module, gain: float = 1.0) -> None:
    """Initializes weights as Glorot & Bengio 2010 (uniform), times ``gain``; biases are set to 0.

    The authors' code of arXiv:1802.05957 uses it, with a gain of sqrt(2) for layers after a ReLU.
    """
    initialize_weights(network, partial(nn.init.xavier_uniform_, gain=gain))


def _zero_bias(module: nn.Module) -> None:
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def normalize_spectrum(network: nn.Module) -> None:
    """Applies spectral normalization to all convolutions, linear layers and embeddings.

    Miyato et al. 2018, arXiv:1802.05957: weights are divided by their largest singular value, as
    matrices [C_out, all other dimensions], with one power iteration per update in training.
    Layers that condition norms are excluded: they start at 0, and the singular value would be 0.
    """
    for layer in _normalizable(network).values():
        normalize_weight(layer)


def unnormalized_weights(network: nn.Module) -> list[str]:
    """Returns the names of the layers to which :func:`normalize_spectrum` was not applied yet."""
    layers = _normalizable(network)
    return [name for name, layer in layers.items() if not is_parametrized(layer, "weight")]


def _normalizable(network: nn.Module) -> dict[str, Weighted]:
    conditioning = conditioning_layers(network)
    return {n: layer for n, layer in weighted_layers(network).items() if layer not in conditioning}
