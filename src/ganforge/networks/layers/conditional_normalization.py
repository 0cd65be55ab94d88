from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from torch import Tensor, nn

from ganforge.errors import ConfigError

# Normalizations without learned gain and bias, which are computed from the condition instead.
PLAIN: dict[str, Callable[[int], nn.Module]] = {
    "batch": partial(nn.BatchNorm2d, affine=False),
    "instance": partial(nn.InstanceNorm2d, affine=False),
    "layer": partial(nn.GroupNorm, 1, affine=False),
}


class ConditionalNorm(nn.Module):
    """Normalization with gain and bias from a condition:  y = (1 + A c) norm(x) + B c.

    With a one-hot label c, A and B have one column for each class (Dumoulin et al. 2017,
    arXiv:1610.07629); with a shared label embedding and a chunk of the latent it is that of BigGAN
    (Brock et al. 2019, arXiv:1809.11096). A and B start at 0, so all classes start equal.

    Args:
        norm: batch, instance or layer.
        channels: C of the features.
        condition_dim: length of c.
    """

    def __init__(self, norm: str, channels: int, condition_dim: int) -> None:
        super().__init__()
        if norm not in PLAIN:
            raise ConfigError(
                f"a conditional normalization must be one of {', '.join(PLAIN)}; got {norm!r}"
            )
        self.norm = PLAIN[norm](channels)
        self.gain = nn.Linear(condition_dim, channels, bias=False)
        self.bias = nn.Linear(condition_dim, channels, bias=False)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W] and conditions [B, condition_dim]."""
        gain: Tensor = 1 + self.gain(condition)[:, :, None, None]
        bias: Tensor = self.bias(condition)[:, :, None, None]
        return cast(Tensor, self.norm(features)) * gain + bias


def steering_layers(network: nn.Module) -> set[nn.Module]:
    """Returns the linear layers that compute the gains and biases of conditional norms."""
    norms = [module for module in network.modules() if isinstance(module, ConditionalNorm)]
    return {layer for norm in norms for layer in (norm.gain, norm.bias)}
