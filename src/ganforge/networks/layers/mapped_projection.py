from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedLinear
from ganforge.networks.layers.head import Head
from ganforge.networks.layers.labels import one_hot
from ganforge.networks.layers.pixel_norm import pixel_norm


class LabelMapping(nn.Module):
    """Maps labels to vectors: a normalized embedding, then fully connected layers.

    Like the generator's mapping network (Karras et al. 2020, arXiv:2006.06676), without a latent.

    Args:
        num_classes: number of classes.
        dim: length of the vectors.
        layers: number of fully connected layers after the embedding.
        learning_rate_multiplier: learning rate of these layers, relative to other layers.
    """

    def __init__(
        self, num_classes: int, dim: int, layers: int = 8, learning_rate_multiplier: float = 0.01
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = EqualizedLinear(num_classes, dim)
        self.layers = nn.ModuleList(
            EqualizedLinear(
                dim, dim, learning_rate_multiplier=learning_rate_multiplier, gain=HE_GAIN
            )
            for _ in range(layers)
        )

    def forward(self, labels: Tensor) -> Tensor:
        """Returns [B, dim] of labels, int64 [B]."""
        code = one_hot(labels, self.num_classes, self.embedding.weight)
        features = pixel_norm(self.embedding(code))
        for layer in self.layers:
            features = F.leaky_relu(layer(features), 0.2)
        return features


class MappedProjection(Head):
    """Head that returns the inner product of mapped labels and projected features.

    Karras et al. 2020, arXiv:2006.06676, after Miyato & Koyama 2018, arXiv:1802.05637. The product
    is divided by sqrt(F), which keeps the scale of a single term. Without projection it is a linear
    layer. It is computed in full precision.

    Args:
        feature_dim: F.
        num_classes: number of classes.
        projection: whether the logit depends on the label.
        auxiliary: lengths of the auxiliary outputs, linear in the features.
        mapping_layers: number of fully connected layers of the label mapping.
    """

    def __init__(
        self,
        feature_dim: int,
        num_classes: int = 0,
        projection: bool = False,
        auxiliary: Sequence[int] = (),
        mapping_layers: int = 8,
    ) -> None:
        super().__init__(feature_dim, auxiliary=auxiliary)
        # Replaces the plain linear layer of the base class; it is called in the same way.
        linear = EqualizedLinear(feature_dim, feature_dim if projection else 1)
        self.logit = linear  # type: ignore[assignment]
        self.mapping = (
            LabelMapping(num_classes, feature_dim, mapping_layers) if projection else None
        )

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of features [B, F]; ``labels`` [B] int64 for a projection."""
        with torch.autocast(features.device.type, enabled=False):
            judged: Tensor = self.logit(features.to(self.logit.weight.dtype))
            if self.mapping is None:
                return judged.squeeze(1)
            if labels is None:
                raise ConfigError("a projection discriminator needs the labels of its images")
            similar: Tensor = (judged * self.mapping(labels)).sum(dim=1)
            return similar / math.sqrt(self.feature_dim)
