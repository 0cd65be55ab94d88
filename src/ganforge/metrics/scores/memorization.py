from __future__ import annotations

import logging
from collections.abc import Hashable

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import RealShare
from ganforge.metrics.scores.copying import data_copying, share_below_median
from ganforge.metrics.scores.nearest import nearest_distances
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.scores.training_rows import TrainingRows
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class CopyingScore(Score):
    """Base class of the scores of :class:`DistancesToTraining`, which share one metric.

    Finds the nearest training image of each generated image and of each test image. Test images
    cannot be copies, so their distances serve as the reference. Needs data with a test split.

    Args:
        max_train: maximum number of training images; copies of others are not detected.
        max_held_out: maximum number of test images.
    """

    higher_is_better = None
    number: str
    metric: DistancesToTraining

    def __init__(self, max_train: int = 60_000, max_held_out: int = 10_000) -> None:
        for name, value in (("max_train", max_train), ("max_held_out", max_held_out)):
            if value < 2:
                raise ConfigError(f"{self.number}: {name} must be at least 2, got {value}")
        self.training = TrainingRows(max_train, max_held_out)

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Returns whether the data have a test split of at least two images; warns if not."""
        if data.size("test") >= 2:
            return True
        log.warning("NO %s in this run: data %r has no test split", self.number, data.name)
        return False

    def family(self) -> Hashable:
        """Returns the key shared by all scores of the same distances."""
        return (DistancesToTraining, self.training.limits)

    def update(self, values: Tensor, real: bool) -> None:
        """Adds this process's next rows [n, width] of generated images."""
        self.metric.rows.append(values.to(self.device))

    def update_real(self, share: RealShare) -> None:
        """Computes distances to the training images; every process uses all of them."""
        train, held_out = self.training.of(share, self.device)
        self.metric.update(train, held_out)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the score; ``seed`` is not used."""
        return ScoreValue(self.metric.compute()[self.number], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the numbers of training and held-out images."""
        return {"n_train": self.metric.n_train, "n_held_out": self.metric.n_held_out}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return DistancesToTraining()


class Memorization(CopyingScore):
    """Share of generated images closer to a training image than half of the held-out ones are.

    About 0.5 if generated images are new and as realistic as held-out ones, 1 for copies. Below 0.5
    images are unlike all real ones, which distances such as FID measure better. Detects what FID
    can't: copies have a FID of about 0. Mirrored, shifted or recoloured copies are detected only as
    far as the extractor is invariant to the change. Cannot see: duplicates, and noise and blur,
    which make images look new.
    """

    number = "memorization"


class DataCopying(CopyingScore):
    """The data-copying statistic C_T, about N(0, 1) without copies; below -3 indicates copies.

    Meehan et al. 2020, arXiv:2004.05675, in one cell. Without the paper's partition of the space,
    copies in one region can be offset by poor images in another, and dropped classes can look like
    copies if the remaining classes are the denser ones. Grows with the numbers of images. Cannot
    see: duplicates, and noise and blur, which make images look new.
    """

    number = "data_copying"


class DistancesToTraining(Metric):
    """Distances of generated and of held-out images to their nearest training image.

    Attributes:
        rows: rows of this process's generated images so far, [n, d] each.
        n_train: number of training images.
        n_held_out: number of held-out images, over all processes.
    """

    full_state_update = False
    fake: list[Tensor]
    held_out: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("fake", [], dist_reduce_fx="cat")
        self.add_state("held_out", [], dist_reduce_fx="cat")
        self.rows: list[Tensor] = []
        self.n_train = self.n_held_out = 0

    def update(self, train: Tensor, held_out: Tensor) -> None:
        """Computes the distances of ``rows`` to the training images, and clears ``rows``.

        Args:
            train: rows of all training images, [m, d].
            held_out: distances of this process's held-out images, float64 [h].
        """
        self.n_train = len(train)
        self.fake.append(nearest_distances(torch.cat(self.rows), train))
        self.held_out.append(held_out)
        self.rows.clear()

    def compute(self) -> dict[str, float]:
        """Returns both scores by name."""
        fake, held_out = dim_zero_cat(self.fake), dim_zero_cat(self.held_out)
        self.n_held_out = len(held_out)
        return {
            "memorization": share_below_median(fake, held_out),
            "data_copying": data_copying(fake, held_out),
        }
