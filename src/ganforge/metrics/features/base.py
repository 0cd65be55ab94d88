from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ganforge.metrics.source import ImageSource


class Features(NamedTuple):
    """What an extractor sees in images.

    Attributes:
        features: [B, d] float32, the layer that distances compare.
        logits: [B, k] float32, unnormalised class scores.
    """

    features: Tensor
    logits: Tensor


class FeatureExtractor(nn.Module):
    """A frozen network through which images are compared.

    Attributes:
        name: what the features are called in a result's protocol.
        suffix: appended to a score's name. Empty for Inception alone: a value that was computed
            with other features must not look like a published one.
        num_features: d.
        num_logits: k.
        protocol: what must be equal for two values to be comparable: weights, resizing.
        names_labels: whether logit k is that of the data's own label k.
        names_modes: whether logit k is that of the data's mode k.
        takes_floats: whether it looks at float images in [-1, 1] as they are, and not at bytes.
        code: tells code of somebody else's from other code; statistics of real images are kept
            for the same code alone.
    """

    name: str
    suffix: str
    num_features: int
    num_logits: int
    protocol: dict[str, str | int | float]
    names_labels: bool = False
    names_modes: bool = False
    takes_floats: bool = False
    code: str = ""

    @property
    def device(self) -> torch.device:
        """Where the weights are, and where images are looked at."""
        return next(self.parameters()).device

    def forward(self, images: Tensor) -> Features:
        """Returns the features of uint8 images [B, C, H, W] in 0 ... 255."""
        raise NotImplementedError


class FeatureFactory(Protocol):
    """Makes the extractor that fits a data set: what ``conf/features`` names."""

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor | None:
        """Returns an extractor on ``device``; None where nothing fits and the choice was free.

        Raises:
            ConfigError: what was asked for cannot be had.
        """
        ...


def to_rgb(images: Tensor) -> Tensor:
    """Turns uint8 images [B, C, H, W] into RGB ones [B, 3, H, W].

    C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha). Grey is repeated, transparency
    laid over white.
    """
    if images.shape[1] in (2, 4):
        colour, alpha = images[:, :-1].float(), images[:, -1:].float() / 255
        images = (colour * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return images.expand(-1, 3, -1, -1)
