from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.metrics.scores.label_score import LabelScore
from ganforge.metrics.scores.score import ScoreValue


class LabelAgreement(LabelScore):
    """Share of generated images that a classifier assigns to the requested class, in [0, 1].

    The classification accuracy of Odena et al. 2017 (arXiv:1610.09585, section 5). It is limited by
    the classifier's own accuracy, which is reported next to it as ``features_accuracy``. Cannot
    see: weak noise and blur, duplicates, copies of training images.

    Args:
        cache: folder of trained classifiers; None uses that of features=classifier.
        max_images: maximum number of training images of the classifier.
    """

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the share; ``seed`` is not used."""
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
        """Adds predicted and requested labels, int64 [n] each."""
        self.equal += (seen == asked).sum()
        self.total += len(asked)

    def compute(self) -> Tensor:
        """Returns the share, float64."""
        return self.equal.double() / self.total
