from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ganforge.errors import ConfigError


def _instance(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def _layer(channels: int) -> nn.Module:
    return nn.GroupNorm(1, channels)


# "layer" is the layer normalization of Gulrajani et al. 2017 (arXiv:1704.00028): over all channels
# and positions of an image, with a gain and bias per channel. This is GroupNorm with one group. A
# LayerNorm over channels only would normalize every position separately and lose contrast, and
# nn.LayerNorm over [C, H, W] would tie the weights to one image size.
NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": _instance,
    "layer": _layer,
}


def check_norm(name: str, norm: str) -> None:
    """Raises ConfigError unless ``norm`` is "none" or a key of :data:`NORMALIZATIONS`."""
    if norm != "none" and norm not in NORMALIZATIONS:
        legal = ", ".join([*NORMALIZATIONS, "none"])
        raise ConfigError(f"{name}: norm must be one of {legal}; got {norm!r}")


def normalization(norm: str, channels: int) -> list[nn.Module]:
    """Returns the norm to insert after a convolution: a list of one module, or empty for "none".

    Args:
        norm: a key of :data:`NORMALIZATIONS`, or "none".
        channels: C of the features [B, C, H, W].
    """
    return [] if norm == "none" else [NORMALIZATIONS[norm](channels)]
