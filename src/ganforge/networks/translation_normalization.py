"""Norms as Pix2Pix and CycleGAN use them: by the statistics of what is being translated."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ganforge.errors import ConfigError


def _batch(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, track_running_stats=False)


def _instance(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=False)


# "batch" keeps no running statistics: Isola et al. 2017 (arXiv:1611.07004, section 3.4) normalize
# by the test batch's own, which for single images is instance normalization with gain and bias.
# "instance" has neither gain nor bias, as in Zhu et al. 2017 (arXiv:1703.10593); the networks from
# noise have both (ganforge.networks.layers.normalization), so they keep a table of their own.
NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {"batch": _batch, "instance": _instance}


def check_norm(name: str, norm: str) -> None:
    """Refuses a normalization that isn't one of :data:`NORMALIZATIONS` or "none"."""
    if norm != "none" and norm not in NORMALIZATIONS:
        legal = ", ".join([*NORMALIZATIONS, "none"])
        raise ConfigError(f"{name}: norm must be one of {legal}; got {norm!r}")


def normalization(norm: str, channels: int) -> list[nn.Module]:
    """Returns the layer to put behind a convolution of ``channels``: one module, or none.

    Args:
        norm: a key of :data:`NORMALIZATIONS`, or "none".
        channels: C of the features [B, C, H, W].
    """
    return [] if norm == "none" else [NORMALIZATIONS[norm](channels)]


def has_bias(norm: str) -> bool:
    """Whether the convolution before this norm has a bias, as in the published networks.

    Batch norm brings its own. Instance norm takes a bias out again, and the published networks
    have it all the same: without it, their weights would not fit.
    """
    return norm != "batch"
