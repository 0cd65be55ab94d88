from __future__ import annotations

from collections.abc import Hashable
from typing import cast

from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.scores.neighbors import Neighborhoods
from ganforge.metrics.scores.score import Score, ScoreValue


class NeighborScore(Score):
    """One of the numbers that :class:`Neighborhoods` gives; the distances are computed once.

    Args:
        neighbors: k: a ball reaches to its centre's k-th nearest neighbour in the same set.
    """

    higher_is_better = True
    number: str

    def __init__(self, neighbors: int) -> None:
        if neighbors < 1:
            raise ConfigError(f"{self.number}: neighbors must be at least 1, got {neighbors}")
        self.neighbors = neighbors
        self.least = neighbors + 1

    def family(self) -> Hashable:
        """Returns what these scores have in common: the same distances."""
        return (Neighborhoods, self.uses, self.extractor)

    def welcome(self, other: Score) -> None:
        """Computes for another of these scores too, with its number of neighbours."""
        super().welcome(other)
        cast(Neighborhoods, self.metric).neighbors.add(cast(NeighborScore, other).neighbors)

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's next rows [n, width]."""
        self.metric.update(values.to(self.device), real)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the number; nothing in it is random."""
        return ScoreValue(self.metric.compute()[self.neighbors][self.number], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of neighbours."""
        return {"neighbors": self.neighbors}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        metric = Neighborhoods()
        metric.neighbors.add(self.neighbors)
        return metric


class Precision(NeighborScore):
    """Share of generated images that are within the real ones' manifold: quality, 0 to 1.

    Kynkaanniemi et al. 2019, arXiv:1904.06991. One real outlier makes a ball that forgives much.
    Cannot see: dropped classes, duplicates, copies of training images, which raise it to 1.
    """

    number = "precision"

    def __init__(self, neighbors: int = 3) -> None:
        super().__init__(neighbors)


class Recall(NeighborScore):
    """Share of real images that are within the generated ones' manifold: variety, 0 to 1.

    Kynkaanniemi et al. 2019, arXiv:1904.06991. Generated outliers raise it. Cannot see: copies of
    training images, which raise it to 1.
    """

    number = "recall"

    def __init__(self, neighbors: int = 3) -> None:
        super().__init__(neighbors)


class Density(NeighborScore):
    """How many real balls a generated image is in, over k: quality, about 1 for equal sets.

    Naeem et al. 2020, arXiv:2002.09797. It can be above 1, where generated images crowd at modes.
    Cannot see: dropped classes, copies of training images, and hardly duplicates.
    """

    number = "density"

    def __init__(self, neighbors: int = 5) -> None:
        super().__init__(neighbors)


class Coverage(NeighborScore):
    """Share of real balls that hold a generated image: variety, 0 to 1.

    Naeem et al. 2020, arXiv:2002.09797. Of equal sets it is about 1 - 2^-k where there are as many
    images of both. Cannot see: copies of training images.
    """

    number = "coverage"

    def __init__(self, neighbors: int = 5) -> None:
        super().__init__(neighbors)
