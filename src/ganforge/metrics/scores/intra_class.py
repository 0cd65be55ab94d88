from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import RealShare
from ganforge.metrics.rows import Rows
from ganforge.metrics.scores.frechet import distance_of_spreads, spread_of_rows
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.source import ImageSource


class IntraClassFrechet(Score):
    """Mean over classes of the Frechet distance of real and generated images of the class.

    Called intra FID with Inception features. Miyato & Koyama 2018, arXiv:1802.05637. Detects what
    FID can't: images of the wrong class, and collapse within a class. The bias depends on the
    number of images per class, so values are larger than those of FID. Cannot see: copies of
    training images, which look better than new images.
    """

    needs = frozenset({"labels"})

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Raises ConfigError if the data have fewer than two classes."""
        if data.num_classes < 2:
            raise ConfigError(
                f"metrics=intra_fid compares class by class, and data={data.name} has "
                f"{data.num_classes} classes. Leave it out of metrics=[...], or take labelled data"
            )
        return True

    def check_classes(self, real: Tensor, requested: Tensor) -> None:
        """Raises ConfigError if a class has fewer than two real or generated images."""
        for label in torch.unique(torch.cat([real, requested])).tolist():
            _check_count(label, int((real == label).sum()), int((requested == label).sum()))

    def update_real(self, share: RealShare) -> None:
        """Adds this process's real images with their labels."""
        self._add("real", share.rows(self.uses), share.labels())

    def compare(self, values: Tensor, labels: Tensor) -> None:
        """Adds this process's next rows of generated images and their requested classes."""
        self._add("fake", values, labels)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the mean over the classes that occur; ``seed`` is not used.

        Raises:
            ConfigError: A class has fewer than two real or generated images.
        """
        real, real_labels, fake, fake_labels = self.metric.compute()
        classes = torch.unique(torch.cat([real_labels, fake_labels])).tolist()
        distances = [
            _distance(label, real[real_labels == label], fake[fake_labels == label])
            for label in classes
        ]
        self._classes = len(classes)
        return ScoreValue(float(torch.stack(distances).mean()), None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of classes."""
        return {"classes": self._classes}

    def _add(self, side: str, rows: Tensor, labels: Tensor) -> None:
        columns = {side: rows.to(self.device), f"{side}_labels": labels.to(self.device)}
        self.metric.update(**columns)

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return Rows("real", "real_labels", "fake", "fake_labels")


def _distance(label: int, real: Tensor, fake: Tensor) -> Tensor:
    _check_count(label, len(real), len(fake))
    return distance_of_spreads(spread_of_rows(real), spread_of_rows(fake))


def _check_count(label: int, real: int, fake: int) -> None:
    if min(real, fake) < 2:
        raise ConfigError(
            f"metrics=intra_fid: class {label} has {real} real and {fake} generated images, and "
            "each needs 2; raise the numbers of images (n and n_real), or leave it out of "
            "metrics=[...]"
        )
