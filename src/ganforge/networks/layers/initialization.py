from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ganforge.networks.layers.conditional_normalization import steering_layers

_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)
_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


def initialize_normal(network: nn.Module, std: float = 0.02) -> None:
    """Initializes weights from N(0, std), gains of norms from N(1, std), and biases with 0.

    Radford et al. 2015, arXiv:1511.06434. Call this before spectral normalization is applied, which
    starts from the current weights. The layers that condition norms stay 0, so all classes start
    equal.
    """
    steering = steering_layers(network)
    for module in network.modules():
        if module in steering:
            continue
        if isinstance(module, _WEIGHTED):
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
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            nn.init.kaiming_normal_(module.weight, negative_slope, nonlinearity="leaky_relu")
            _zero_bias(module)


def _zero_bias(module: nn.Module) -> None:
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
