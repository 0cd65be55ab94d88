from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.metrics.scores.label_score import LabelScore
from ganforge.metrics.scores.score import ScoreValue


class LabelAgreement(LabelScore):
    """Share of the generated images in which a classifier sees the class asked for, in [0, 1].

    The classification accuracy of Odena et al. 2017 (arXiv:1610.09585, section 5). It can't be
    above what the classifier itself is worth, told beside it as ``features_accuracy``. Cannot see:
    weak noise and blur, duplicates, copies of training images.

    Args:
        cache: folder of trained classifiers; None is that of features=classifier.
        max_images: images that a classifier learns from, at most.
    """

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the share; nothing in it is random."""
        return ScoreValue(float(self.metric.compute()), None)

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return Agreement()


class Agreement(Metric):
    """Share of equal entries of two lists of labels."""

    full_state_update = False
    equal: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("equal", "total"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, seen: Tensor, asked: Tensor) -> None:
        """Takes labels seen and asked for, int64 [n] each."""
        self.equal += (seen == asked).sum()
        self.total += len(asked)

    def compute(self) -> Tensor:
        """Returns the share, float64."""
        return self.equal.double() / self.total
