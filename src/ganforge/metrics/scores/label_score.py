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
    """A score that holds the classes asked for against those that a classifier sees.

    It looks through a classifier of the data's own labels, whatever features the others look
    through: the run's own extractor where that is one, else one of its own.

    Args:
        cache: folder of trained classifiers, see ClassifierFactory.
        max_images: images that a classifier learns from, at most.
    """

    uses = "logits"
    needs_real = False
    needs_labels = True
    higher_is_better = True
    suffixed = False

    def __init__(self, cache: str | None = None, max_images: int = 60_000) -> None:
        self.factory = ClassifierFactory(cache, max_images)

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Finds a classifier; returns whether there is one."""
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
        """Takes this process's rows of all generated images.

        Args:
            logits: [n, k] of the classifier.
            labels: the classes asked for, int64 [n].
        """
        seen = logits.argmax(1).to(self.device)
        self.metric.update(seen, labels.to(self.device))
