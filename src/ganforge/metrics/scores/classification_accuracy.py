from __future__ import annotations

import logging

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.classifier_training import train_on
from ganforge.metrics.features.pixels import Pixels
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.rows import Rows
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class ClassificationAccuracy(Score):
    """Accuracy on real images of a classifier trained on generated images only, in [0, 1].

    The classification accuracy score of Ravuri & Vinyals 2019 (arXiv:1905.10887), also called
    GAN-train (Shmelkov et al. 2018, arXiv:1807.09499), with the small classifier of 32x32 images
    that features=classifier trains. Detects a lack of variety within classes, which the reverse
    score does not (label_agreement: accuracy on generated images of a classifier trained on real
    ones). Tested on up to 10,000 images of the test split. Training depends on the images only and
    takes seconds, so the score suits final evaluations better than those during training.
    Increases with the number of images: compare values of the same ``n_fake``. Cannot see: weak
    noise and blur, copies of training images.
    """

    needs_real = False
    needs = frozenset({"labels"})
    higher_is_better = True
    suffixed = False

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Returns whether the data have labelled test images; warns if not."""
        refuse_points(data, "metrics=classification_accuracy")
        missing = data.size("test") == 0
        if data.num_classes < 2 or missing or data.real_labels("test") is None:
            reason = "no labels" if data.num_classes < 2 else "no test split" if missing else ""
            reason = reason or "no labels in its test split"
            log.warning("NO classification_accuracy in this run: data %r has %s", data.name, reason)
            return False
        self.extractor = self.pixels = Pixels(data, device, small=True)
        self.data = data
        return True

    def compare(self, values: Tensor, labels: Tensor) -> None:
        """Adds this process's next images, uint8 [n, C 32 32], and their requested classes."""
        self.metric.update(images=values.to(self.device), labels=labels.to(self.device))

    def compute(self, seed: int = 0) -> ScoreValue:
        """Trains the classifier and returns its accuracy; ``seed`` is not used."""
        rows, labels = self.metric.compute()
        if int(labels.max()) >= self.data.num_classes:
            raise ConfigError(
                f"metrics=classification_accuracy: the model has class {int(labels.max())}, and "
                f"data={self.data.name} has {self.data.num_classes}. Leave it out of metrics=[...]"
            )
        trained = train_on(self.pixels.images(rows).cpu(), labels.cpu(), self.data)
        return ScoreValue(trained.accuracy, None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of real images that the classifier is tested on."""
        return {"n_test": min(self.data.size("test"), 10_000)}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return Rows("images", "labels")
