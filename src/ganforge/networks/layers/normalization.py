from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

from torch import Tensor, nn

from ganforge.networks.layers.shapes import check_choice

Normalizations = Mapping[str, Callable[[int], nn.Module]]

# "layer" is the layer normalization of Gulrajani et al. 2017 (arXiv:1704.00028): over all channels
# and positions of an image, with a gain and bias per channel. This is GroupNorm with one group. A
# LayerNorm over channels only would normalize every position separately and lose contrast, and
# nn.LayerNorm over [C, H, W] would tie the weights to one image size.
NORMALIZATIONS: Normalizations = {
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(nn.GroupNorm, 1),
}
# Norms of Pix2Pix and CycleGAN, which always use the statistics of the current batch or image.
# "batch" keeps no running statistics: Isola et al. 2017 (arXiv:1611.07004, section 3.4) use those
# of the test batch, which for single images is instance normalization with gain and bias.
# "instance" has neither gain nor bias, as in Zhu et al. 2017 (arXiv:1703.10593).
TRANSLATION_NORMALIZATIONS: Normalizations = {
    "batch": partial(nn.BatchNorm2d, track_running_stats=False),
    "instance": partial(nn.InstanceNorm2d, affine=False),
}
# Norms without learned gain and bias, which are computed from the condition instead.
CONDITIONAL_NORMALIZATIONS: Normalizations = {
    "batch": partial(nn.BatchNorm2d, affine=False),
    "instance": partial(nn.InstanceNorm2d, affine=False),
    "layer": partial(nn.GroupNorm, 1, affine=False),
}


def check_norm(name: str, norm: str, kinds: Normalizations = NORMALIZATIONS) -> None:
    """Raises ConfigError unless ``norm`` is "none" or a key of ``kinds``."""
    check_choice(name, [*kinds, "none"], norm=norm)


def normalization(
    norm: str, channels: int, kinds: Normalizations = NORMALIZATIONS
) -> list[nn.Module]:
    """Returns the norm to insert after a convolution: a list of one module, or empty for "none".

    Args:
        norm: a key of ``kinds``, or "none".
        channels: C of the features [B, C, H, W].
        kinds: available norms.
    """
    return [] if norm == "none" else [kinds[norm](channels)]


check_translation_norm = partial(check_norm, kinds=TRANSLATION_NORMALIZATIONS)
translation_normalization = partial(normalization, kinds=TRANSLATION_NORMALIZATIONS)


def has_bias(norm: str) -> bool:
    """Whether the convolution before a translator's norm has a bias, as in the published networks.

    Batch norm has its own bias. Instance norm removes a preceding bias, but the published networks
    have one; without it, their weights could not be loaded.
    """
    return norm != "batch"


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
        check_choice("ConditionalNorm", CONDITIONAL_NORMALIZATIONS, norm=norm)
        self.norm = CONDITIONAL_NORMALIZATIONS[norm](channels)
        self.gain = nn.Linear(condition_dim, channels, bias=False)
        self.bias = nn.Linear(condition_dim, channels, bias=False)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W] and conditions [B, condition_dim]."""
        gain: Tensor = 1 + self.gain(condition)[:, :, None, None]
        bias: Tensor = self.bias(condition)[:, :, None, None]
        return cast(Tensor, self.norm(features)) * gain + bias


def conditioning_layers(network: nn.Module) -> set[nn.Module]:
    """Returns the linear layers that compute the gains and biases of conditional norms."""
    norms = [module for module in network.modules() if isinstance(module, ConditionalNorm)]
    return {layer for norm in norms for layer in (norm.gain, norm.bias)}


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Returns x / sqrt(mean_c x_c^2 + eps): features of length sqrt(C) at each position.

    Karras et al. 2018, arXiv:1710.10196, section 4.2.

    Args:
        x: [B, C, ...].
        eps: keeps the gradient of the square root finite if all features are 0.
    """
    # Computed in float32: in half precision squares overflow beyond 256 and eps underflows to 0.
    wide = x.float() if x.element_size() < 4 else x
    return (wide * (wide.square().mean(dim=1, keepdim=True) + eps).rsqrt()).to(x.dtype)


class PixelNorm(nn.Module):
    """Layer that applies :func:`pixel_norm`: [B, C, ...] -> [B, C, ...]."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns features of mean square 1 at each position."""
        return pixel_norm(features)
