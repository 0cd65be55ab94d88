from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.metrics.rows import TILE, RealAndFake


class Neighborhoods(RealAndFake):
    """Precision, recall, density and coverage of two sets of rows, of distances computed once.

    Attributes:
        neighbors: numbers of neighbours for which they are asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.compute_with_cache = True
        self.neighbors: set[int] = set()

    def compute(self) -> dict[int, dict[str, float]]:
        """Returns the four numbers for each number of neighbours.

        Raises:
            ConfigError: fewer than two rows on a side.
        """
        return precision_recall_density_coverage(*self.rows(), sorted(self.neighbors))


def precision_recall_density_coverage(
    real: Tensor, fake: Tensor, neighbors: list[int]
) -> dict[int, dict[str, float]]:
    """Compares two sets by the balls that reach to each point's k-th nearest neighbour in its set.

    precision: share of generated points within a ball of a real one; recall: share of real points
    within a ball of a generated one (Kynkaanniemi et al. 2019, arXiv:1904.06991). density: real
    balls around a generated point, over k, on average; coverage: share of real balls that hold a
    generated point (Naeem et al. 2020, arXiv:2002.09797). As in the authors' code, the rim of a
    ball belongs to it for the first two and not for the others: a set has density 1 with itself.

    Memory is that of both sets in float64 and of a chunk of distances.

    Args:
        real: [n, d].
        fake: [m, d].
        neighbors: values of k, each from 1 to the smaller set's size - 1.

    Returns:
        The four by name for each k.
    """
    middle = real.double().mean(0)
    points, made = Points(real.double() - middle), Points(fake.double() - middle)
    ours, theirs = radii(points, neighbors), radii(made, neighbors)
    tallies = [Tally(k, r, f) for k, r, f in zip(neighbors, ours, theirs, strict=True)]
    for start in range(0, len(fake), TILE):
        chunk = slice(start, min(start + TILE, len(fake)))
        distances = made.to_points(chunk, points)
        nearest = distances.amin(0)
        for tally in tallies:
            tally.add(distances, nearest, chunk)
    return {tally.neighbors: tally.numbers() for tally in tallies}


class Points:
    """Rows among which squared distances are computed.

    Args:
        rows: float64 [n, d], about the origin: what is far from it costs digits.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.squares = rows.square().sum(1)
        self.noise = 1e-14 * float(self.squares.max())

    def to_points(self, chunk: slice, others: Points) -> Tensor:
        """Returns squared distances of some of these points to all others, float32 [c, m].

        In float64 until the end. The float32 takes the last, noisy digits away: distances that are
        equal compare as equal, wherever in a matrix they are computed.
        """
        rows, squares = self.rows[chunk], self.squares[chunk, None]
        distances = rows.new_empty((len(rows), len(others.rows)), dtype=torch.float32)
        for start in range(0, len(others.rows), TILE):
            columns = slice(start, start + TILE)
            products = torch.addmm(others.squares[columns], rows, others.rows[columns].T, alpha=-2)
            distances[:, columns] = products.add_(squares)
        return F.threshold(distances, max(self.noise, others.noise), 0.0, inplace=True)


def radii(points: Points, neighbors: list[int]) -> list[Tensor]:
    """Returns for each k the squared distance of each point to its k-th nearest other, [n] each."""
    n = len(points.rows)
    nearest = []
    for start in range(0, n, TILE):
        chunk = slice(start, min(start + TILE, n))
        distances = points.to_points(chunk, points)
        distances[:, chunk].fill_diagonal_(torch.inf)
        nearest.append(distances.topk(max(neighbors), largest=False).values)
    return [torch.cat(nearest)[:, k - 1].contiguous() for k in neighbors]


class Tally:
    """Counts who is in whose ball, chunk after chunk of the generated points.

    Args:
        neighbors: k.
        real: squared radii of the real points' balls, [n].
        fake: squared radii of the generated points' balls, [m].
    """

    def __init__(self, neighbors: int, real: Tensor, fake: Tensor) -> None:
        self.neighbors = neighbors
        self.real = real
        self.fake = fake
        self.precise = self.dense = 0
        self.recalled = torch.zeros_like(real, dtype=torch.bool)
        self.covered = torch.zeros_like(real, dtype=torch.bool)

    def add(self, distances: Tensor, nearest: Tensor, chunk: slice) -> None:
        """Takes the squared distances of a chunk of generated points to the real ones.

        Args:
            distances: [c, n].
            nearest: the smallest of each column, [n].
            chunk: places of the generated points.
        """
        # Not (a <= b).any(), which takes three times as long; no rounding changes a sign.
        self.precise += int(((distances - self.real).amin(1) <= 0).sum())
        self.recalled |= (distances - self.fake[chunk, None]).amin(0) <= 0
        self.dense += int((distances < self.real).count_nonzero())
        self.covered |= nearest < self.real

    def numbers(self) -> dict[str, float]:
        """Returns precision, recall, density and coverage."""
        return {
            "precision": self.precise / len(self.fake),
            "recall": float(self.recalled.double().mean()),
            "density": self.dense / (self.neighbors * len(self.fake)),
            "coverage": float(self.covered.double().mean()),
        }
