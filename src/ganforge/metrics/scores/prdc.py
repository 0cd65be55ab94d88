from __future__ import annotations

import math
from collections.abc import Hashable
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.rows import TILE, RealAndFake
from ganforge.metrics.scores.score import Score, ScoreValue


class NeighborScore(Score):
    """Base class of the scores of :class:`Neighborhoods`, which share one set of distances.

    Args:
        neighbors: k; the ball of a point reaches to its k-th nearest neighbor in the same set.
    """

    higher_is_better = True
    name: str

    def __init__(self, neighbors: int = 3) -> None:
        if neighbors < 1:
            raise ConfigError(f"{self.name}: neighbors must be at least 1, got {neighbors}")
        self.neighbors = neighbors
        self.least = neighbors + 1

    def family(self) -> Hashable:
        """Returns the key shared by all scores of the same distances."""
        return (Neighborhoods, self.uses, self.extractor)

    def share_metric(self, other: Score) -> None:
        """Shares the metric with another score of the family, and adds its k."""
        super().share_metric(other)
        cast(Neighborhoods, self.metric).neighbors.add(cast(NeighborScore, other).neighbors)

    def update(self, values: Tensor, real: bool) -> None:
        """Adds this process's next rows [n, width]."""
        self.metric.update(**{"real" if real else "fake": values.to(self.device)})

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the score; ``seed`` is not used."""
        return ScoreValue(self.metric.compute()[self.neighbors][self.name], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of neighbors."""
        return {"neighbors": self.neighbors}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        metric = Neighborhoods()
        metric.neighbors.add(self.neighbors)
        return metric


class Precision(NeighborScore):
    """Share of generated images within the manifold of the real ones: quality, 0 to 1.

    Kynkaanniemi et al. 2019, arXiv:1904.06991. Sensitive to outliers: a single real outlier has a
    large ball that contains many poor images. Cannot see: dropped classes, duplicates, copies of
    training images, which raise it to 1.
    """

    name = "precision"


class Recall(NeighborScore):
    """Share of real images within the manifold of the generated ones: variety, 0 to 1.

    Kynkaanniemi et al. 2019, arXiv:1904.06991. Generated outliers raise it. Cannot see: copies of
    training images, which raise it to 1.
    """

    name = "recall"


class Density(NeighborScore):
    """Mean number of real balls that contain a generated image, over k: quality, about 1 if equal.

    Naeem et al. 2020, arXiv:2002.09797. It exceeds 1 if generated images concentrate at modes.
    Cannot see: dropped classes, copies of training images, and hardly duplicates.
    """

    name = "density"

    def __init__(self, neighbors: int = 5) -> None:
        super().__init__(neighbors)


class Coverage(NeighborScore):
    """Share of real balls that contain a generated image: variety, 0 to 1.

    Naeem et al. 2020, arXiv:2002.09797. For equal distributions it is about 1 - 2^-k if there are
    as many real as generated images. Cannot see: copies of training images.
    """

    name = "coverage"

    def __init__(self, neighbors: int = 5) -> None:
        super().__init__(neighbors)


class Neighborhoods(RealAndFake):
    """Precision, recall, density and coverage of two sets of rows; distances are computed once.

    Attributes:
        neighbors: the values of k to compute them for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.compute_with_cache = True  # the result is small, and several scores request it
        self.neighbors: set[int] = set()

    def compute(self) -> dict[int, dict[str, float]]:
        """Returns the four scores by name, for each k.

        Raises:
            ConfigError: There are fewer than two real or generated rows.
        """
        real, fake = super().compute()
        return precision_recall_density_coverage(real, fake, sorted(self.neighbors))


def precision_recall_density_coverage(
    real: Tensor, fake: Tensor, neighbors: list[int]
) -> dict[int, dict[str, float]]:
    """Returns precision, recall, density and coverage by name, for each k.

    The ball of a point reaches to its k-th nearest neighbor in the same set. precision: share of
    generated points within a ball of a real one; recall: share of real points within a ball of a
    generated one (Kynkaanniemi et al. 2019, arXiv:1904.06991). density: mean number of real balls
    that contain a generated point, divided by k; coverage: share of real balls that contain a
    generated point (Naeem et al. 2020, arXiv:2002.09797). As in the authors' code, balls include
    their rim for the first two scores but not for the others: a set has density 1 with itself.

    If distances are tied, as among duplicates, fewer than k real points are inside a ball. Its rim
    then counts in part, so that the real points inside and on it sum to k, and a set with ties also
    has density and coverage 1 with itself. Without ties the results equal those of the authors.

    Needs memory for both sets in float64 and for a chunk of distances.

    Args:
        real: [n, d].
        fake: [m, d].
        neighbors: values of k, each from 1 to the smaller set's size - 1.
    """
    middle = real.double().mean(0)
    ours, theirs = real.double() - middle, fake.double() - middle
    scale = _scale(ours, theirs)
    reals, fakes = Points(ours * scale), Points(theirs * scale)
    around, behind = balls(reals, neighbors), balls(fakes, neighbors)
    tallies = [
        Tally(k, real.radii, fake.radii, real.rims)
        for k, real, fake in zip(neighbors, around, behind, strict=True)
    ]
    for start in range(0, len(fake), TILE):
        chunk = slice(start, min(start + TILE, len(fake)))
        distances = fakes.to_points(chunk, reals)
        nearest = distances.amin(0)
        for tally in tallies:
            tally.add(distances, nearest, chunk)
    return {tally.neighbors: tally.numbers() for tally in tallies}


def _scale(real: Tensor, fake: Tensor) -> float:
    """Returns a power of 2 that scales rows to about 1, so that squared distances fit float32.

    The scores are invariant to scale, and multiplying by a power of 2 causes no rounding.
    """
    largest = max(float(rows.abs().amax()) for rows in (real, fake))
    return 2.0 ** -math.frexp(largest)[1] if largest > 0 else 1.0


class Points:
    """Rows with precomputed squared norms, for computing squared distances.

    Args:
        rows: float64 [n, d], centered at the origin: a large offset would cause cancellation.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.squares = rows.square().sum(1)
        self.noise = 1e-14 * float(self.squares.max())

    def to_points(self, chunk: slice, others: Points) -> Tensor:
        """Returns squared distances of a chunk of these points to ``others``, float32 [c, m].

        Computed in float64. Rounding to float32 removes the last, noisy digits, so that equal
        distances compare equal regardless of their position in the matrix.
        """
        rows, squares = self.rows[chunk], self.squares[chunk, None]
        distances = rows.new_empty((len(rows), len(others.rows)), dtype=torch.float32)
        for start in range(0, len(others.rows), TILE):
            columns = slice(start, start + TILE)
            products = torch.addmm(others.squares[columns], rows, others.rows[columns].T, alpha=-2)
            distances[:, columns] = products.add_(squares)
        # Distances below the rounding error are set to 0, so that duplicates are at distance 0.
        return F.threshold(distances, max(self.noise, others.noise), 0.0, inplace=True)


class Balls(NamedTuple):
    """A ball around each point, which reaches to its k-th nearest neighbor.

    Attributes:
        radii: squared radii, float32 [n].
        rims: number of points missing inside to reach k, 0 unless distances are tied, and number of
            points on the rim; int64 [n, 2].
    """

    radii: Tensor
    rims: Tensor


def balls(points: Points, neighbors: list[int]) -> list[Balls]:
    """Returns the balls of a set for each k."""
    n = len(points.rows)
    parts_of: list[list[Balls]] = [[] for _ in neighbors]
    for start in range(0, n, TILE):
        chunk = slice(start, min(start + TILE, n))
        distances = points.to_points(chunk, points)
        distances[:, chunk].fill_diagonal_(torch.inf)
        nearest = distances.topk(max(neighbors), largest=False).values
        for k, parts in zip(neighbors, parts_of, strict=True):
            radii = nearest[:, k - 1].contiguous()
            parts.append(Balls(radii, _rims(distances, radii, k)))
    return [Balls(*(torch.cat(part) for part in zip(*parts, strict=True))) for parts in parts_of]


def _rims(distances: Tensor, radii: Tensor, k: int) -> Tensor:
    """Returns the points missing inside each ball to reach k, and those on its rim, int64 [c, 2].

    Args:
        distances: squared distances of a chunk to all points, infinite to themselves, [c, n].
        radii: squared radii, [c].
        k: rank of the neighbor that a ball reaches to.
    """
    centre = (radii > 0).long()  # the center is inside; if the radius is 0, on the rim
    inside = (distances < radii[:, None]).sum(1) + centre
    on = (distances == radii[:, None]).sum(1) + 1 - centre
    return torch.stack([k - inside, on], 1)


class Tally:
    """Counts points within balls, in chunks of generated points.

    Args:
        neighbors: k.
        real: squared radii of the real points' balls, [n].
        fake: squared radii of the generated points' balls, [m].
        rims: rims of the real balls, see :class:`Balls`.
    """

    def __init__(self, neighbors: int, real: Tensor, fake: Tensor, rims: Tensor) -> None:
        self.neighbors = neighbors
        self.real = real
        self.fake = fake
        self.tied = rims[:, 0] > 0
        self.rims = rims[self.tied]
        self.on_rims = torch.zeros_like(self.rims[:, 0])
        self.precise = self.dense = 0
        self.recalled = torch.zeros_like(real, dtype=torch.bool)
        self.covered = torch.zeros_like(real, dtype=torch.bool)

    def add(self, distances: Tensor, nearest: Tensor, chunk: slice) -> None:
        """Adds the squared distances of a chunk of generated points to the real ones.

        Args:
            distances: [c, n].
            nearest: minimum of each column, [n].
            chunk: indices of the generated points.
        """
        # Three times as fast as (a <= b).any(); rounding never changes the sign of a difference.
        self.precise += int(((distances - self.real).amin(1) <= 0).sum())
        self.recalled |= (distances - self.fake[chunk, None]).amin(0) <= 0
        self.dense += int((distances < self.real).count_nonzero())
        self.covered |= nearest < self.real
        if len(self.rims):
            on_rims = distances[:, self.tied] == self.real[self.tied]
            self.on_rims += on_rims.sum(0)
            self.covered[self.tied] |= on_rims.any(0)

    def numbers(self) -> dict[str, float]:
        """Returns precision, recall, density and coverage."""
        lack, share = self.rims.unbind(1)
        # An exact sum, so that the result does not depend on the order of points.
        tied = math.fsum((self.on_rims * lack / share.double()).tolist())
        return {
            "precision": self.precise / len(self.fake),
            "recall": float(self.recalled.double().mean()),
            "density": (self.dense + tied) / (self.neighbors * len(self.fake)),
            "coverage": float(self.covered.double().mean()),
        }
