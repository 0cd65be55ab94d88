from __future__ import annotations

import logging
import math
from collections.abc import Hashable
from dataclasses import replace

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import RealShare
from ganforge.metrics.rows import Rows
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")

CHUNK = 2**23  # distances per chunk: about 32 MiB of float32
CANDIDATES = 4  # neighbors whose distances are recomputed exactly


class CopyingScore(Score):
    """Base class of the scores of :class:`DistancesToTraining`, which share one metric.

    Finds the nearest training image of each generated image and of each test image. Test images
    cannot be copies, so their distances serve as the reference. Needs data with a test split.

    Args:
        max_train: maximum number of training images; copies of others are not detected.
        max_held_out: maximum number of test images.
    """

    higher_is_better = None
    name: str
    metric: DistancesToTraining

    def __init__(self, max_train: int = 60_000, max_held_out: int = 10_000) -> None:
        for name, value in (("max_train", max_train), ("max_held_out", max_held_out)):
            if value < 2:
                raise ConfigError(f"{self.name}: {name} must be at least 2, got {value}")
        self.training = TrainingRows(max_train, max_held_out)

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Returns whether the data have a test split of at least two images; warns if not."""
        if data.size("test") >= 2:
            return True
        log.warning("NO %s in this run: data %r has no test split", self.name, data.name)
        return False

    def family(self) -> Hashable:
        """Returns the key shared by all scores of the same distances."""
        return (DistancesToTraining, self.training.limits)

    def update(self, values: Tensor, real: bool) -> None:
        """Adds this process's next rows [n, width] of generated images."""
        self.metric.pending.append(values.to(self.device))

    def update_real(self, share: RealShare) -> None:
        """Computes distances to the training images; every process uses all of them."""
        train, held_out = self.training.of(share, self.device)
        self.metric.add_distances(train, held_out)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the score; ``seed`` is not used."""
        return ScoreValue(self.metric.compute()[self.name], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the numbers of training and held-out images."""
        return {"n_train": self.metric.n_train, "n_held_out": self.metric.n_held_out}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return DistancesToTraining()


class Memorization(CopyingScore):
    """Share of generated images closer to a training image than half of the held-out ones are.

    About 0.5 if generated images are new and as realistic as held-out ones, 1 for copies. Below 0.5
    images are unlike all real ones, which distances such as FID measure better. Detects what FID
    can't: copies have a FID of about 0. Mirrored, shifted or recolored copies are detected only as
    far as the extractor is invariant to the change. Cannot see: duplicates, and noise and blur,
    which make images look new.
    """

    name = "memorization"


class DataCopying(CopyingScore):
    """The data-copying statistic C_T, about N(0, 1) without copies; below -3 indicates copies.

    Meehan et al. 2020, arXiv:2004.05675, in one cell. Without the paper's partition of the space,
    copies in one region can be offset by poor images in another, and dropped classes can look like
    copies if the remaining classes are the denser ones. Grows with the numbers of images. Cannot
    see: duplicates, and noise and blur, which make images look new.
    """

    name = "data_copying"


class DistancesToTraining(Rows):
    """Distances of generated and of held-out images to their nearest training image.

    Attributes:
        pending: rows of this process's generated images so far, [n, d] each.
        n_train: number of training images.
        n_held_out: number of held-out images, over all processes.
    """

    def __init__(self) -> None:
        super().__init__("fake", "held_out")
        self.pending: list[Tensor] = []
        self.n_train = self.n_held_out = 0

    def add_distances(self, train: Tensor, held_out: Tensor) -> None:
        """Computes the distances of the pending rows to the training images.

        Args:
            train: rows of all training images, [m, d].
            held_out: distances of this process's held-out images, float64 [h].
        """
        self.n_train = len(train)
        self.update(fake=nearest_distances(torch.cat(self.pending), train), held_out=held_out)
        self.pending.clear()

    def compute(self) -> dict[str, float]:
        """Returns both scores by name."""
        fake, held_out = super().compute()
        self.n_held_out = len(held_out)
        return {
            "memorization": share_below_median(fake, held_out),
            "data_copying": data_copying(fake, held_out),
        }


class TrainingRows:
    """Features of the training images, and distances of held-out images to them.

    Each process computes a share of the features; all processes then gather all of them. Results
    are kept for later evaluations.

    Args:
        max_train: maximum number of training images.
        max_held_out: maximum number of test images.
    """

    def __init__(self, max_train: int, max_held_out: int) -> None:
        self.limits = (max_train, max_held_out)
        self._cached: tuple[object, Tensor, Tensor] | None = None

    def of(self, share: RealShare, device: torch.device) -> tuple[Tensor, Tensor]:
        """Returns all training rows [m, d] and this process's distances of held-out images [h].

        Args:
            share: any share of the data's images; split and bounds are ignored.
            device: device on which distances are computed.
        """
        source = (share.reals, share.extractor)
        if self._cached is None or self._cached[0] != source:
            train = _gathered(_part(share, "train", self.limits[0]), share.extractor.device)
            held_out = _part(share, "test", self.limits[1]).to(device)
            self._cached = (source, train, nearest_distances(held_out, train.to(device)))
        return self._cached[1].to(device), self._cached[2]


def _part(share: RealShare, split: str, limit: int) -> Tensor:
    """Returns this process's rows of a split."""
    count = min(limit, share.reals.data.size(split))
    distributed = torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if distributed else 0
    world = torch.distributed.get_world_size() if distributed else 1
    if count < world:
        raise ConfigError(
            f"metrics=memorization: each of {world} processes needs an image of the {split} split, "
            f"which has {count}"
        )
    start, stop = count * rank // world, count * (rank + 1) // world
    return replace(share, split=split, start=start, stop=stop).rows("features")


def _gathered(rows: Tensor, device: torch.device) -> Tensor:
    """Returns the rows of all processes in the order of ranks, on the CPU."""
    if not torch.distributed.is_initialized():
        return rows
    parts: list[Tensor] = gather_all_tensors(rows.to(device))
    return torch.cat([part.cpu() for part in parts])


def nearest_distances(rows: Tensor, others: Tensor) -> Tensor:
    """Returns the Euclidean distance of each row to the nearest of ``others``, float64 [n].

    The nearest few candidates are found with float32 products, which suffer from cancellation for
    close rows. Their distances are then recomputed directly, so that a copy has distance 0.

    Args:
        rows: [n, d].
        others: [m, d], on the same device.
    """
    centre = others.mean(0)
    columns = (others - centre).float()
    squares = columns.square().sum(1)
    count = min(CANDIDATES, len(others))
    step = max(CHUNK // max(len(others), 2 * count * rows.shape[1]), 1)
    distances = []
    for chunk in torch.split(rows, step):
        # |x - y|^2 - |x|^2: the term |x|^2 does not affect the order of y.
        order = torch.addmm(squares, (chunk - centre).float(), columns.T, alpha=-2)
        near = others[order.topk(count, dim=1, largest=False).indices]
        gaps = near.double() - chunk[:, None].double()
        distances.append(gaps.square().sum(2).amin(1).sqrt())
    return torch.cat(distances)


def share_below_median(fake: Tensor, held_out: Tensor) -> float:
    """Returns the share of generated images closer than the median held-out image, in [0, 1].

    About 1/2 for images from the data distribution, 1 for copies. Distances equal to the median
    count half.

    Args:
        fake: distances of generated images to their nearest training image, [n].
        held_out: distances of held-out images to their nearest training image, [m].
    """
    median = torch.quantile(held_out.double(), 0.5)
    below, equal = (fake < median).double(), (fake == median).double()
    return float((below + equal / 2).mean())


def data_copying(fake: Tensor, held_out: Tensor) -> float:
    """Returns the data-copying statistic C_T of Meehan et al. 2020 (arXiv:2004.05675), in one cell.

    The standardized Mann-Whitney U of both sets of distances: about N(0, 1) if generated images are
    as far from the training images as held-out ones. Values far below 0 (-3 and less) mean that
    they are closer (copying), values far above 0 that they are farther away (underfitting).

    Args:
        fake: distances of generated images to their nearest training image, [n].
        held_out: distances of held-out images to their nearest training image, [m].
    """
    n, m = len(fake), len(held_out)
    ordered = held_out.double().sort().values
    below, not_above = (
        torch.searchsorted(ordered, fake.double(), right=right) for right in (False, True)
    )
    wins = float((below + not_above).double().sum()) / 2
    return (wins - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
