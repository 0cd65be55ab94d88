from __future__ import annotations

from torchmetrics import Metric
from torchmetrics.image.kid import KernelInceptionDistance

from ganforge.errors import ConfigError
from ganforge.metrics.score import PassThrough, Score, ScoreValue, own_random_numbers


class KernelDistance(Score):
    """Squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, about 0 for equal sets.

    Called KID with Inception features. Binkowski et al. 2018, arXiv:1801.01401. Unbiased: it can
    be below 0, and values of few images are comparable with those of many.

    Args:
        subsets: number of random subsets over which mean and standard deviation are taken.
        subset_size: images of each. Where no more than that are to be had, one subset holds them
            all and there is no standard deviation.
    """

    def __init__(self, subsets: int = 100, subset_size: int = 1000) -> None:
        if subsets < 1:
            raise ConfigError(f"kid: subsets must be at least 1, got {subsets}")
        if subset_size < 2:
            raise ConfigError(f"kid: subset_size must be at least 2, got {subset_size}")
        self.subsets = subsets
        self.subset_size = subset_size
        self._used = (subsets, subset_size)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns mean and standard deviation over subsets drawn with ``seed``."""
        with own_random_numbers(seed):
            mean, deviation = self.metric.compute()
        return ScoreValue(float(mean), float(deviation) if self._used[0] > 1 else None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the subsets as they were taken."""
        return {"subsets": self._used[0], "subset_size": self._used[1]}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        size = min(self.subset_size, n_real, n_fake)
        # All images make the same subset every time: once is enough.
        whole = size == n_real == n_fake
        self._used = (1 if whole else self.subsets, size)
        return KernelInceptionDistance(PassThrough(width), subsets=self._used[0], subset_size=size)
