from __future__ import annotations

import logging

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.rows import Rows
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class LabelScore(Score):
    """Base class of scores that compare requested classes with a classifier's predictions.

    The classifier predicts the data's own labels, regardless of the run's features: it is the run's
    extractor if that predicts these labels, else a separate one.

    Args:
        cache: folder of trained classifiers; None uses that of features=classifier.
        max_images: maximum number of training images of the classifier.
    """

    uses = "logits"
    needs_real = False
    needs = frozenset({"labels"})
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
        """Adds this process's next logits [n, k], and the requested classes, int64 [n]."""
        predicted = logits.argmax(1).to(self.device)
        self.metric.update(predicted=predicted, requested=labels.to(self.device))

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the score of all images; ``seed`` is not used."""
        return ScoreValue(float(self.value(*self.metric.compute())), None)

    def value(self, predicted: Tensor, requested: Tensor) -> Tensor:
        """Returns the score, a float64 scalar, from labels, int64 [n] each."""
        raise NotImplementedError

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return Rows("predicted", "requested")


class LabelAgreement(LabelScore):
    """Share of generated images that a classifier assigns to the requested class, in [0, 1].

    The classification accuracy of Odena et al. 2017 (arXiv:1610.09585, section 5). It is limited by
    the classifier's own accuracy, which is reported next to it as ``features_accuracy``. Cannot
    see: weak noise and blur, duplicates, copies of training images.
    """

    def value(self, predicted: Tensor, requested: Tensor) -> Tensor:
        """Returns the share."""
        return (predicted == requested).sum().double() / len(requested)


class NormalizedMutualInformation(LabelScore):
    """Normalized mutual information of requested codes and predicted classes, in [0, 1].

    2 I(c; y) / (H(c) + H(y)), normalized by the arithmetic mean. 1 if each determines the other, 0
    if they are independent; invariant to permutations of the codes. Measures what InfoGAN (Chen et
    al. 2016, arXiv:1606.03657) learns without labels.
    Cannot see: weak noise and blur, duplicates, copies of training images.
    """

    def value(self, predicted: Tensor, requested: Tensor) -> Tensor:
        """Returns the normalized mutual information."""
        return normalized_information(counts(predicted, requested))

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the normalization."""
        return {"normalization": "arithmetic"}


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
