"""Norms of Pix2Pix and CycleGAN, which always use the statistics of the current batch or image."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ganforge.errors import ConfigError


def _batch(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, track_running_stats=False)


def _instance(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=False)


# "batch" keeps no running statistics: Isola et al. 2017 (arXiv:1611.07004, section 3.4) use those
# of the test batch, which for single images is instance normalization with gain and bias.
# "instance" has neither gain nor bias, as in Zhu et al. 2017 (arXiv:1703.10593). The instance norm
# of networks that start from noise has both (ganforge.networks.layers.normalization).
NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {"batch": _batch, "instance": _instance}


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


def has_bias(norm: str) -> bool:
    """Whether the convolution before this norm has a bias, as in the published networks.

    Batch norm has its own bias. Instance norm removes a preceding bias, but the published networks
    have one; without it, their weights could not be loaded.
    """
    return norm != "batch"
