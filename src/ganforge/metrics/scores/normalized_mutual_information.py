from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.metrics.scores.label_score import LabelScore
from ganforge.metrics.scores.score import ScoreValue


class NormalizedMutualInformation(LabelScore):
    """How much of the classes that a classifier sees is told by the code asked for, in [0, 1].

    2 I(c; y) / (H(c) + H(y)), the normalization by the arithmetic mean. It doesn't matter which
    value of the code became which class: 1 where each determines the other, 0 where they are
    independent. Measures what InfoGAN (Chen et al. 2016, arXiv:1606.03657) learns without labels.
    Cannot see: weak noise and blur, duplicates, copies of training images.

    Args:
        cache: folder of trained classifiers; None is that of features=classifier.
        max_images: images that a classifier learns from, at most.
    """

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the normalized mutual information; nothing in it is random."""
        return ScoreValue(float(self.metric.compute()), None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the normalization."""
        return {"normalization": "arithmetic"}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return MutualInformation()


class MutualInformation(Metric):
    """Normalized mutual information of two lists of labels."""

    full_state_update = False
    first: list[Tensor]
    second: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("first", [], dist_reduce_fx="cat")
        self.add_state("second", [], dist_reduce_fx="cat")

    def update(self, first: Tensor, second: Tensor) -> None:
        """Takes labels, int64 [n] each, at least 0."""
        self.first.append(first)
        self.second.append(second)

    def compute(self) -> Tensor:
        """Returns the normalized mutual information of all labels, float64."""
        return normalized_information(counts(dim_zero_cat(self.first), dim_zero_cat(self.second)))


def counts(first: Tensor, second: Tensor) -> Tensor:
    """Returns how often each pair of labels occurs, int64 [a, b], for labels [n] each."""
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    pairs = torch.bincount(first * columns + second, minlength=rows * columns)
    return pairs.view(rows, columns)


def normalized_information(pairs: Tensor) -> Tensor:
    """Returns 2 I(a; b) / (H(a) + H(b)), a float64 scalar; 0 where neither varies.

    Args:
        pairs: how often each pair occurs, [a, b].
    """
    joint = pairs.double() / pairs.sum()
    first, second = entropy(joint.sum(1)), entropy(joint.sum(0))
    shared = first + second - entropy(joint)
    total = first + second
    return (2 * shared / total).clamp(0, 1) if total > 0 else torch.zeros_like(total)


def entropy(probabilities: Tensor) -> Tensor:
    """Returns -sum p log p in nats, a scalar, with 0 log 0 = 0."""
    information: Tensor = torch.special.entr(probabilities)
    return information.sum()
