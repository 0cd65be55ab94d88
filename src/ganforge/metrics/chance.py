from __future__ import annotations

import logging
import math

import torch

from ganforge.metrics.source import ImageSource
from ganforge.plain_text import one_line

log = logging.getLogger("ganforge")

TESTED = 10_000  # images of the test split by which a classifier is judged, at most
LEAST = 0.1  # share of the way from guessing to no error below which nothing was learned
DEVIATIONS = 2.0


def warn_near_chance(accuracy: float, data: ImageSource) -> None:
    """Warns when a classifier of features hardly beats guessing the most frequent class.

    Its features then say little of the classes, and scores by them little of the images.

    Args:
        accuracy: share of the test split's images that it names rightly, NaN where unknown.
        data: what it was trained on.
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
