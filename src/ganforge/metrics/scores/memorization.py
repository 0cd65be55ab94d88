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
    """One of the numbers that :class:`DistancesToTraining` gives; distances are computed once.

    Each generated image is held against the training images, all of them up to ``max_train``, and
    so is each image of the test split: what is not in the training set is no copy, but has a
    nearest neighbour too. Data without a test split can't be judged.

    Args:
        max_train: training images that are looked at, at most. Copies of others go unseen.
        max_held_out: images of the test split, at most.
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
        """Returns whether there are images that the model has not learned from."""
        if data.size("test") >= 2:
            return True
        log.warning("NO %s in this run: data %r has no test split", self.number, data.name)
        return False

    def family(self) -> Hashable:
        """Returns what these scores have in common: the same distances."""
        return (DistancesToTraining, self.training.limits)

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's next rows [n, width] of generated images."""
        self.metric.rows.append(values.to(self.device))

    def learn(self, share: RealShare) -> None:
        """Compares with the training images, of which every process needs all."""
        train, held_out = self.training.of(share, self.device)
        self.metric.update(train, held_out)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the number; nothing in it is random."""
        return ScoreValue(self.metric.compute()[self.number], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the images that were compared with."""
        return {"n_train": self.metric.n_train, "n_held_out": self.metric.n_held_out}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return DistancesToTraining()


class Memorization(CopyingScore):
    """Share of generated images nearer to a training image than half of the held-out ones are.

    About 0.5 where the model makes new images as real as held-out ones, 1 where it copies; below
    0.5 images are unlike any real ones, which a distance tells better. Sees what FID can't: copies
    have a FID of about 0. Blind to copies of a mirrored, shifted or recoloured image as far as the
    extractor is not. Cannot see: duplicates, and noise and blur, which make images look new.
    """

    number = "memorization"


class DataCopying(CopyingScore):
    """The data-copying statistic C_T, about N(0, 1) without copies; below -3 there are some.

    Meehan et al. 2020, arXiv:2004.05675, in one cell: without the paper's partition of the space,
    it may miss a region of copies beside one of poor images, and dropped classes may look like
    copies, where those that are left are the denser ones. Grows with the numbers of images. Cannot
    see: duplicates, and noise and blur, which make images look new.
    """

    number = "data_copying"


class DistancesToTraining(Metric):
    """Distances of generated and of held-out images to their nearest training image.

    Attributes:
        rows: generated images of this process so far, [n, d] each.
        n_train: training images.
        n_held_out: held-out images, over all processes.
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
        """Measures how far the rows so far are from the training images.

        Args:
            train: rows of all training images, [m, d].
            held_out: distances of this process's held-out images, float64 [h].
        """
        self.n_train = len(train)
        self.fake.append(nearest_distances(torch.cat(self.rows), train))
        self.held_out.append(held_out)
        self.rows.clear()

    def compute(self) -> dict[str, float]:
        """Returns both numbers."""
        fake, held_out = dim_zero_cat(self.fake), dim_zero_cat(self.held_out)
        self.n_held_out = len(held_out)
        return {
            "memorization": share_below_median(fake, held_out),
            "data_copying": data_copying(fake, held_out),
        }
