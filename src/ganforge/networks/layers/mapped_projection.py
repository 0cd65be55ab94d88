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
    """Labels to vectors: an embedding of mean square 1, then fully connected layers.

    As the generator's mapping network (Karras et al. 2020, arXiv:2006.06676), without a latent.

    Args:
        num_classes: labels.
        dim: length of the vectors.
        layers: fully connected layers behind the embedding.
        learning_rate_multiplier: how fast they learn, among the other layers.
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
    """The inner product of what labels are mapped to with a linear function of the features.

    Karras et al. 2020, arXiv:2006.06676, after Miyato & Koyama 2018, arXiv:1802.05637. Divided by
    the root of its length, it has the scale of one product. Without projection it is a linear
    layer. All of it is in full precision.

    Args:
        feature_dim: F.
        num_classes: labels.
        projection: whether labels count.
        auxiliary: lengths of further outputs, linear in the features.
        mapping_layers: fully connected layers that labels go through.
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
        # It takes the place of a layer that is called in the same way.
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
