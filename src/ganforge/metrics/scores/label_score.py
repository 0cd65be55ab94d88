from __future__ import annotations

import logging

import torch
from torch import Tensor

from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.scores.score import Score
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class LabelScore(Score):
    """Base class of scores that compare requested classes with a classifier's predictions.

    The classifier predicts the data's own labels, regardless of the run's features: it is the run's
    extractor if that predicts these labels, else a separate one.

    Args:
        cache: folder of trained classifiers, see :class:`ClassifierFactory`.
        max_images: maximum number of training images of the classifier.
    """

    uses = "logits"
    needs_real = False
    needs_labels = True
    higher_is_better = True
    suffixed = False

    def __init__(self, cache: str | None = None, max_images: int = 60_000) -> None:
        self.factory = ClassifierFactory(cache, max_images)

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Selects or trains the classifier; returns False, with a warning, for unlabelled data."""
        if shared.names_labels:
            self.extractor = shared
        elif data.num_classes > 1:
            self.extractor = self.factory.build(data, device)
        else:
            log.warning(
                "NO %s in this run: data %r has no labels for a classifier to learn",
                type(self).__name__,
                data.name,
            )
            return False
        return True

    def compare(self, logits: Tensor, labels: Tensor) -> None:
        """Updates the score with this process's next generated images.

        Args:
            logits: the classifier's logits, [n, k].
            labels: requested classes, int64 [n].
        """
        seen = logits.argmax(1).to(self.device)
        self.metric.update(seen, labels.to(self.device))
