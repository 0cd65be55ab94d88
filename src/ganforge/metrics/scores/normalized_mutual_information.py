from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.metrics.scores.label_score import LabelScore
from ganforge.metrics.scores.score import ScoreValue


class NormalizedMutualInformation(LabelScore):
    """Normalized mutual information of requested codes and predicted classes, in [0, 1].

    2 I(c; y) / (H(c) + H(y)), normalized by the arithmetic mean. 1 if each determines the other, 0
    if they are independent; invariant to permutations of the codes. Measures what InfoGAN (Chen et
    al. 2016, arXiv:1606.03657) learns without labels.
    Cannot see: weak noise and blur, duplicates, copies of training images.

    Args:
        cache: folder of trained classifiers; None uses that of features=classifier.
        max_images: maximum number of training images of the classifier.
    """

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the normalized mutual information; ``seed`` is not used."""
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
        """Adds nonnegative labels, int64 [n] each."""
        self.first.append(first)
        self.second.append(second)

    def compute(self) -> Tensor:
        """Returns the normalized mutual information of all labels, float64."""
        return normalized_information(counts(dim_zero_cat(self.first), dim_zero_cat(self.second)))


def counts(first: Tensor, second: Tensor) -> Tensor:
    """Returns the contingency table of two lists of labels [n], int64 [a, b]."""
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    pairs = torch.bincount(first * columns + second, minlength=rows * columns)
    return pairs.view(rows, columns)


def normalized_information(pairs: Tensor) -> Tensor:
    """Returns 2 I(a; b) / (H(a) + H(b)), a float64 scalar; 0 if both are constant.

    Args:
        pairs: contingency table of the labels, [a, b].
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
