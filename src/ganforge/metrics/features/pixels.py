from __future__ import annotations

import torch
from torch import Tensor

from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.features.classifier_training import SIDE, shrink
from ganforge.metrics.source import ImageSource


class Pixels(FeatureExtractor):
    """Returns the pixels as features, for scores that use images directly.

    Features are uint8 [B, C H W]; there are no logits.

    Args:
        data: data set that determines the shape of the images.
        device: device of the features.
        small: whether to resize images to 32x32, as for the small classifier.
    """

    name = "pixels"
    suffix = ""
    num_logits = 0

    def __init__(self, data: ImageSource, device: torch.device, small: bool = False) -> None:
        super().__init__()
        side = SIDE if small else data.image_size
        self.small = small
        self.shape = (data.channels, side, side)
        self.num_features = data.channels * side * side
        self.protocol = {
            "features": "pixels",
            "resize": f"bilinear-antialias-{SIDE}" if small else "none",
        }
        self._device = device

    @property
    def device(self) -> torch.device:
        """The device of the features."""
        return self._device

    def forward(self, images: Tensor) -> Features:
        """Returns uint8 images [B, C, H, W] as rows [B, C H W]."""
        if self.small:
            # Not all Metal versions support antialiased resizing.
            images = shrink(images.cpu() if images.device.type == "mps" else images)
        return Features(images.flatten(1), torch.zeros(len(images), 0, device=images.device))

    def images(self, rows: Tensor) -> Tensor:
        """Returns rows [n, C H W] as uint8 images [n, C, H, W]."""
        return rows.view(-1, *self.shape)
