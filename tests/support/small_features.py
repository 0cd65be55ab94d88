from __future__ import annotations

import torch
from torch import nn

from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.streams import mix


class SmallExtractor(FeatureExtractor):
    """A fixed random projection of pixels: fast, with meaningless scores."""

    name = "small"
    suffix = "_small"
    num_features = 6
    num_logits = 4
    protocol = {"features": "small", "resize": "none"}
    names_labels = True  # placeholder, so that no classifier is trained for label_agreement

    def __init__(self, pixels: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(mix(pixels))
        projection = torch.randn(pixels, 10, generator=generator) / pixels**0.5
        self.projection = nn.Parameter(projection, requires_grad=False)

    def forward(self, images):
        seen = torch.tanh(images.flatten(1).float() / 127.5 - 1) @ self.projection
        return Features(seen[:, :6], seen[:, 6:])


class SmallFactory:
    """Replaces features=auto and accepts its arguments."""

    def __init__(
        self,
        weights: str | None = None,
        cache: str | None = None,
        max_images: int = 0,
        resize: str = "legacy",
    ) -> None: ...

    def build(self, data, device):
        return SmallExtractor(data.channels * data.image_size**2).to(device)
