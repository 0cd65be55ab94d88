from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.source import ImageSource


class StackedFeatures(FeatureExtractor):
    """Looks at each channel of stacked digits through the classifier of single digits.

    Features are the channels' side by side. Logits are the log probabilities of all k^3 triples
    less the highest one, so that every image counts as a sample of the mode it is nearest to.

    Args:
        classifier: of single digits, k classes.
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
        """Returns [B, 3 d] and [B, k^3] of uint8 images [B, 3, H, W]."""
        count, _, height, width = images.shape
        seen: Features = self.classifier(images.reshape(3 * count, 1, height, width))
        triples = joint(torch.log_softmax(seen.logits, dim=1).view(count, 3, -1))
        return Features(seen.features.view(count, -1), triples - triples.amax(1, keepdim=True))


def joint(logs: Tensor) -> Tensor:
    """Returns [B, k^3] log probabilities of triples (a, b, c) at k^2 a + k b + c.

    Args:
        logs: [B, 3, k], the three digits' log probabilities.
    """
    a, b, c = logs.unbind(1)
    return (a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]).flatten(1)


class StackedFactory:
    """Features of the classifier of single digits, channel by channel.

    Args:
        cache: folder of trained classifiers, see :class:`ClassifierFactory`.
        max_images: single digits that the classifier learns from, at most.
    """

    def __init__(self, cache: str | None = None, max_images: int = 60_000) -> None:
        self.classifier = ClassifierFactory(cache, max_images)

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns the extractor of ``data`` on ``device``.

        Raises:
            ConfigError: the data are not stacked of single ones.
        """
        single = single_of(data)
        if single is None:
            raise ConfigError(
                f"features=stacked looks at stacked digits, which data {data.name!r} has not; take "
                "data=stacked_digits or data=stacked_mnist, or features=auto"
            )
        return StackedFeatures(self.classifier.build(single, device)).to(device)


def single_of(data: object) -> ImageSource | None:
    """Returns the single digits that ``data`` stacks; None for other data."""
    return cast("ImageSource | None", getattr(data, "single", None))
