from __future__ import annotations

from collections.abc import Hashable
from typing import cast

from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.scores.neighbors import Neighborhoods
from ganforge.metrics.scores.score import Score, ScoreValue


class NeighborScore(Score):
    """Base class of the scores of :class:`Neighborhoods`, which share one set of distances.

    Args:
        neighbors: k; the ball of a point reaches to its k-th nearest neighbour in the same set.
    """

    higher_is_better = True
    number: str

    def __init__(self, neighbors: int) -> None:
        if neighbors < 1:
            raise ConfigError(f"{self.number}: neighbors must be at least 1, got {neighbors}")
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
        self.metric.update(values.to(self.device), real)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the score; ``seed`` is not used."""
        return ScoreValue(self.metric.compute()[self.neighbors][self.number], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of neighbours."""
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

    number = "precision"

    def __init__(self, neighbors: int = 3) -> None:
        super().__init__(neighbors)


class Recall(NeighborScore):
    """Share of real images within the manifold of the generated ones: variety, 0 to 1.

    Kynkaanniemi et al. 2019, arXiv:1904.06991. Generated outliers raise it. Cannot see: copies of
    training images, which raise it to 1.
    """

    number = "recall"

    def __init__(self, neighbors: int = 3) -> None:
        super().__init__(neighbors)


class Density(NeighborScore):
    """Mean number of real balls that contain a generated image, over k: quality, about 1 if equal.

    Naeem et al. 2020, arXiv:2002.09797. It exceeds 1 if generated images concentrate at modes.
    Cannot see: dropped classes, copies of training images, and hardly duplicates.
    """

    number = "density"

    def __init__(self, neighbors: int = 5) -> None:
        super().__init__(neighbors)


class Coverage(NeighborScore):
    """Share of real balls that contain a generated image: variety, 0 to 1.

    Naeem et al. 2020, arXiv:2002.09797. For equal distributions it is about 1 - 2^-k if there are
    as many real as generated images. Cannot see: copies of training images.
    """

    number = "coverage"

    def __init__(self, neighbors: int = 5) -> None:
        super().__init__(neighbors)
