from __future__ import annotations

import logging
import math

import torch

from ganforge.metrics.source import ImageSource
from ganforge.plain_text import one_line

log = logging.getLogger("ganforge")

TESTED = 10_000  # maximum number of test images that the accuracy is measured on
LEAST = 0.1  # minimum improvement over chance, as a share of the gap from chance to 100 %
DEVIATIONS = 2.0  # standard errors of the accuracy that the improvement must exceed


def warn_near_chance(accuracy: float, data: ImageSource) -> None:
    """Warns if the feature classifier is hardly better than guessing the most frequent class.

    Its features then carry little information about the images, and scores based on them are of
    little use.

    Args:
        accuracy: accuracy on the test split, NaN if unknown.
        data: the classifier's training data.
    """
    labels = data.real_labels("test") if data.size("test") else None
    if math.isnan(accuracy) or labels is None or len(labels) == 0:
        return
    counts = torch.bincount(labels[:TESTED])
    chance, total = float(counts.max() / counts.sum()), int(counts.sum())
    error = DEVIATIONS * math.sqrt(chance * (1 - chance) / total)
    if accuracy < chance + max(LEAST * (1 - chance), error):
        log.warning(
            "SCORES ARE OF LITTLE USE: the classifier of features=classifier names %.1f%% of the "
            "test images of %s rightly; guessing the most frequent class, %.1f%%. Check the "
            "labels, or choose other features",
            100 * accuracy,
            one_line(data.name),
            100 * chance,
        )
