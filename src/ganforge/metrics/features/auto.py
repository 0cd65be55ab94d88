from __future__ import annotations

import logging

import torch

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.features.inception import InceptionFactory
from ganforge.metrics.features.points import PointFeatures, mixture_of
from ganforge.metrics.features.preprocessing import Resize
from ganforge.metrics.features.stacked import StackedFactory, single_of
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class AutoFactory:
    """Inception for RGB data if its weights are available, else a classifier of the labels.

    Points in the plane are used as they are; stacked digits are classified channel by channel.
    Unlabelled data that are not RGB use Inception if its weights are on this machine. If no
    extractor fits, runs continue without scores.

    Args:
        weights: file of Inception's weights; None uses PyTorch's hub cache or downloads them.
        cache: folder of trained classifiers, see :class:`ClassifierFactory`.
        max_images: maximum number of training images of a classifier.
        resize: resizing for Inception, see :class:`InceptionFactory`.
    """

    def __init__(
        self,
        weights: str | None = None,
        cache: str | None = None,
        max_images: int = 60_000,
        resize: Resize = "legacy",
    ) -> None:
        self.inception = InceptionFactory(weights, resize)
        self.classifier = ClassifierFactory(cache, max_images)
        self.stacked = StackedFactory(cache, max_images)

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor | None:
        """Returns the extractor that fits ``data``; None, with a warning, if there is none."""
        mixture = mixture_of(data)
        if mixture is not None:
            return PointFeatures(mixture).to(device)
        if single_of(data) is not None:
            return self.stacked.build(data, device)
        if self._inception_fits(data):
            return self.inception.build(data, device)
        if data.num_classes > 1:
            return self.classifier.build(data, device)
        log.warning(
            "NO SCORES in this run: data %r has no labels for features=classifier, and "
            "Inception's weights are not available; give features.weights=PATH",
            data.name,
        )
        return None

    def _inception_fits(self, data: ImageSource) -> bool:
        # Called for all data: an explicit path that does not exist is always an error.
        local = self.inception.local()
        if data.channels != 3:
            return data.num_classes < 2 and local is not None
        try:
            self.inception.fetch()
        except ConfigError as fault:
            log.warning("scores fall back from Inception: %s", fault)
            return False
        return True
