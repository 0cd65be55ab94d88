from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import RealShare
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

    needs_labels = True

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Raises ConfigError if the data have fewer than two classes."""
        if data.num_classes < 2:
            raise ConfigError(
                f"metrics=intra_fid compares class by class, and data={data.name} has "
                f"{data.num_classes} classes. Leave it out of metrics=[...], or take labelled data"
            )
        return True

    def check_classes(self, real: Tensor, asked: Tensor) -> None:
        """Raises ConfigError if a class has fewer than two real or generated images."""
        for label in torch.unique(torch.cat([real, asked])).tolist():
            _refuse_few(label, int((real == label).sum()), int((asked == label).sum()))

    def update_real(self, share: RealShare) -> None:
        """Adds this process's real images with their labels."""
        self.metric.update(share.rows(self.uses).to(self.device), share.labels(), real=True)

    def compare(self, values: Tensor, labels: Tensor) -> None:
        """Adds this process's next rows of generated images and their requested classes."""
        self.metric.update(values.to(self.device), labels, real=False)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the mean over classes; ``seed`` is not used."""
        distances = self.metric.compute().reshape(-1)
        self._classes = len(distances)
        return ScoreValue(float(distances.mean()), None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of classes."""
        return {"classes": self._classes}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return ClassDistances()


class ClassDistances(Metric):
    """The Frechet distance of each class. Keeps all rows in their original precision."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for side in ("real", "fake"):
            self.add_state(f"{side}_rows", [], dist_reduce_fx="cat")
            self.add_state(f"{side}_labels", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor, labels: Tensor, real: bool) -> None:
        """Adds rows [n, d] of real or of generated images, and their classes, int64 [n]."""
        side = "real" if real else "fake"
        getattr(self, f"{side}_rows").append(rows)
        getattr(self, f"{side}_labels").append(labels.to(rows.device))

    def compute(self) -> Tensor:
        """Returns the distance of each class that occurs, float64 [classes].

        Raises:
            ConfigError: A class has fewer than two real or generated images.
        """
        real, fake = self._side("real"), self._side("fake")
        classes = torch.unique(torch.cat([real[1], fake[1]])).tolist()
        return torch.stack([_distance(label, real, fake) for label in classes])

    def _side(self, side: str) -> tuple[Tensor, Tensor]:
        rows, labels = (getattr(self, f"{side}_{name}") for name in ("rows", "labels"))
        return dim_zero_cat(rows), dim_zero_cat(labels)


def _distance(label: int, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> Tensor:
    ours, theirs = (rows[labels == label] for rows, labels in (real, fake))
    _refuse_few(label, len(ours), len(theirs))
    return distance_of_spreads(spread_of_rows(ours), spread_of_rows(theirs))


def _refuse_few(label: int, real: int, fake: int) -> None:
    if min(real, fake) < 2:
        raise ConfigError(
            f"metrics=intra_fid: class {label} has {real} real and {fake} generated images, and "
            "each needs 2; raise the numbers of images (n and n_real), or leave it out of "
            "metrics=[...]"
        )
