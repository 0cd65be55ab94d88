from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError


class HeadArguments(TypedDict, total=False):
    """Arguments of Head, except the length of the features and the bias."""

    num_classes: int
    projection: bool
    auxiliary: Sequence[int]


class Head(nn.Module):
    """Output layers of a discriminator: a logit and optional auxiliary outputs.

    With ``projection`` the logit of image x of class y is  w . f(x) + b + v_y . f(x)  (Miyato &
    Koyama 2018, arXiv:1802.05637). ``auxiliary`` outputs are those of an auxiliary classifier
    (Odena et al. 2017, arXiv:1610.09585) or of a posterior over codes (Chen et al. 2016,
    arXiv:1606.03657).

    Args:
        feature_dim: F.
        num_classes: number of classes of the projection; 0 without one.
        projection: add the inner product with the label embedding.
        auxiliary: lengths of the auxiliary outputs, all linear in the features.
        bias: whether the logit has a bias.
    """

    logit: nn.Module
    auxiliary: nn.Module | None

    def __init__(
        self,
        feature_dim: int,
        num_classes: int = 0,
        projection: bool = False,
        auxiliary: Sequence[int] = (),
        bias: bool = True,
    ) -> None:
        super().__init__()
        if projection and num_classes < 1:
            raise ConfigError("a projection discriminator needs labels; data.num_classes is 0")
        self.feature_dim = feature_dim
        self.auxiliary_dim = sum(auxiliary)
        self.logit = nn.Linear(feature_dim, 1, bias=bias)
        self.embedding = nn.Embedding(num_classes, feature_dim) if projection else None
        self.auxiliary = (
            nn.Linear(feature_dim, self.auxiliary_dim) if self.auxiliary_dim > 0 else None
        )

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of features [B, F]; ``labels`` [B] int64 for a projection."""
        logits: Tensor = self.logit(features).squeeze(1)
        return logits if self.embedding is None else logits + self.similarity(features, labels)

    def similarity(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the inner products [B] of vectors [B, F] and the embeddings of labels."""
        if labels is None:
            raise ConfigError("a projection discriminator needs the labels of its images")
        assert self.embedding is not None
        return torch.sum(self.embedding(labels) * features, dim=1)
