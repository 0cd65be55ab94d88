from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ganforge.metrics.source import ImageSource


class Features(NamedTuple):
    """The output of a feature extractor.

    Attributes:
        features: [B, d] float32, used by distances.
        logits: [B, k] float32, unnormalized class scores.
    """

    features: Tensor
    logits: Tensor


class FeatureExtractor(nn.Module):
    """A frozen network whose features are used to compare images.

    Attributes:
        name: name of the features, such as "inception".
        suffix: suffix of the scores' names. Empty for published Inception weights only: values of
            other features must not be mistaken for published ones.
        num_features: d.
        num_logits: k.
        protocol: settings that must match for values to be comparable: weights, resizing.
        names_labels: whether logit k is that of the data's own label k.
        names_modes: whether logit k is that of the data's mode k.
        takes_floats: whether the input is float images in [-1, 1] instead of uint8 images.
        code: hash of user-provided code, part of the key of cached statistics; empty for built-in
            extractors.
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
        """The device of the weights, on which features are computed."""
        return next(self.parameters()).device

    def forward(self, images: Tensor) -> Features:
        """Returns the features of uint8 images [B, C, H, W] in 0 ... 255."""
        raise NotImplementedError


class FeatureFactory(Protocol):
    """Builds the extractor for a data set; configured in ``conf/features``."""

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor | None:
        """Returns an extractor on ``device``; None if an automatic choice finds none that fits.

        Raises:
            ConfigError: The requested extractor is unavailable or does not fit the data.
        """
        ...


def to_rgb(images: Tensor) -> Tensor:
    """Converts uint8 images [B, C, H, W] to RGB [B, 3, H, W].

    C is 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGB and alpha). Gray channels are repeated, and
    transparent images are composited over white.
    """
    if images.shape[1] in (2, 4):
        colour, alpha = images[:, :-1].float(), images[:, -1:].float() / 255
        images = (colour * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return images.expand(-1, 3, -1, -1)


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Returns a hash of weights, 8 hex digits; independent of their device.

    Args:
        state: weights and buffers by name.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        # Viewed as bytes, since NumPy has no bfloat16.
        flat = state[name].detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:8]
