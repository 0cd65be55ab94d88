from __future__ import annotations

import logging

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.classifier_training import train
from ganforge.metrics.features.pixels import Pixels, refuse_points_for
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
    needs_labels = True
    higher_is_better = True
    suffixed = False

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Returns whether the data have labelled test images; warns if not."""
        refuse_points_for(data, "classification_accuracy")
        missing = data.size("test") == 0
        if data.num_classes < 2 or missing or data.real_labels("test") is None:
            lack = "no labels" if data.num_classes < 2 else "no test split" if missing else ""
            lack = lack or "no labels in its test split"
            log.warning("NO classification_accuracy in this run: data %r has %s", data.name, lack)
            return False
        self.extractor = self.pixels = Pixels(data, device, small=True)
        self.data = data
        return True

    def compare(self, values: Tensor, labels: Tensor) -> None:
        """Adds this process's next images, uint8 [n, C 32 32], and their requested classes."""
        self.metric.update(values.to(self.device), labels.to(self.device))

    def compute(self, seed: int = 0) -> ScoreValue:
        """Trains the classifier and returns its accuracy; ``seed`` is not used."""
        rows, labels = self.metric.compute()
        if int(labels.max()) >= self.data.num_classes:
            raise ConfigError(
                f"metrics=classification_accuracy: the model has class {int(labels.max())}, and "
                f"data={self.data.name} has {self.data.num_classes}. Leave it out of metrics=[...]"
            )
        lesson = Lesson(self.pixels.images(rows).cpu(), labels.cpu(), self.data)
        return ScoreValue(train(lesson, len(rows))[1], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of real images that the classifier is tested on."""
        return {"n_test": min(self.data.size("test"), 10_000)}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return LabelledRows()


class LabelledRows(Metric):
    """Keeps uint8 images with their labels."""

    full_state_update = False
    rows: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor, labels: Tensor) -> None:
        """Adds images [n, width] and their labels, int64 [n]."""
        self.rows.append(rows)
        self.labels.append(labels)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Returns all images [n, width] and labels [n]."""
        return dim_zero_cat(self.rows), dim_zero_cat(self.labels)


class Lesson:
    """A data set with generated training images and real test images.

    Args:
        images: generated images, uint8 [n, C, 32, 32].
        labels: their requested classes, int64 [n].
        data: real images.
    """

    def __init__(self, images: Tensor, labels: Tensor, data: ImageSource) -> None:
        self.images = images
        self.labels = labels
        self.data = data
        self.name, self.channels = f"generated {data.name}", data.channels
        self.image_size, self.num_classes = images.shape[-1], data.num_classes

    def size(self, split: str) -> int:
        """Returns the number of generated images for "train", of real images for other splits."""
        return len(self.images) if split == "train" else self.data.size(split)

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, Tensor | None]:
        """Returns images start ... start + n - 1 and their labels."""
        if split != "train":
            return self.data.reals(n, split, start)
        return self.images[start : start + n], self.labels[start : start + n]

    def real_labels(self, split: str = "train") -> Tensor | None:
        """Returns the labels of all images of a split."""
        return self.labels if split == "train" else self.data.real_labels(split)

    def fingerprint(self, split: str) -> str:
        """Not supported, as classifiers of generated images are never cached."""
        raise NotImplementedError
