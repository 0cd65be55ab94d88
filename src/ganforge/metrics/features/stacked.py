from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.source import ImageSource


class StackedFeatures(FeatureExtractor):
    """Features of stacked digits: a classifier of single digits, applied to each channel.

    The features of the channels are concatenated. Logits are the log probabilities of all k^3
    triples minus their maximum, so that every image counts as a sample of its nearest mode.

    Args:
        classifier: classifier of single digits with k classes.
    """

    name = "stacked"
    suffix = "_stacked"
    names_modes = True

    def __init__(self, classifier: FeatureExtractor) -> None:
        super().__init__()
        self.classifier = classifier
        self.num_features = 3 * classifier.num_features
        self.num_logits = classifier.num_logits**3
        self.protocol = dict(classifier.protocol)

    def forward(self, images: Tensor) -> Features:
        """Returns features [B, 3 d] and logits [B, k^3] of uint8 images [B, 3, H, W]."""
        count, _, height, width = images.shape
        seen: Features = self.classifier(images.reshape(3 * count, 1, height, width))
        triples = joint(torch.log_softmax(seen.logits, dim=1).view(count, 3, -1))
        return Features(seen.features.view(count, -1), triples - triples.amax(1, keepdim=True))


def joint(logs: Tensor) -> Tensor:
    """Returns [B, k^3] log probabilities of triples (a, b, c), at index k^2 a + k b + c.

    Args:
        logs: log probabilities of the three digits, [B, 3, k].
    """
    a, b, c = logs.unbind(1)
    return (a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]).flatten(1)


class StackedFactory(ClassifierFactory):
    """Features of stacked digits, from a classifier of single digits.

    Args:
        cache: folder of trained classifiers, see :class:`ClassifierFactory`.
        max_images: maximum number of single digits to train the classifier on.
    """

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns the extractor of ``data``; raises ConfigError if it has no stacked digits."""
        single = single_of(data)
        if single is None:
            raise ConfigError(
                f"features=stacked needs stacked digits, and data={data.name} has none; use "
                "data=stacked_digits or data=stacked_mnist, or features=auto"
            )
        return StackedFeatures(super().build(single, device)).to(device)


def single_of(data: object) -> ImageSource | None:
    """Returns the single digits that ``data`` stacks; None for other data."""
    return cast("ImageSource | None", getattr(data, "single", None))
