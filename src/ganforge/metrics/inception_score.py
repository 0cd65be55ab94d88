from __future__ import annotations

import math
import warnings

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image.inception import InceptionScore as TorchInceptionScore

from ganforge.errors import ConfigError
from ganforge.metrics.score import PassThrough, Score, ScoreValue, own_random_numbers

# exp(-700) is still a float64 above 0; an underflow would make 0 * inf of a class never seen.
LOWEST = -700.0


class InceptionScore(Score):
    """exp E KL(p(y|x) || p(y)): from 1 to k, high where images are distinct and varied.

    Salimans et al. 2016, arXiv:1606.03498. Never looks at real images, and is blind to variety
    within a class.

    Args:
        splits: parts of the images, in random order, over which mean and standard deviation are
            taken.
    """

    uses = "logits"
    needs_real = False
    higher_is_better = True

    def __init__(self, splits: int = 10) -> None:
        if splits < 1:
            raise ConfigError(f"is: splits must be at least 1, got {splits}")
        self.splits = splits
        self._used = splits

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's logits [n, k] of generated images."""
        logits = values.to(self.device).double()
        self.metric.update((logits - logits.amax(1, keepdim=True)).clamp(min=LOWEST))

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns mean and standard deviation over parts in an order drawn with ``seed``."""
        with own_random_numbers(seed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="std.*degrees of freedom")
            mean, deviation = self.metric.compute()
        return ScoreValue(float(mean), float(deviation) if self._used > 1 else None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of parts."""
        return {"splits": self._used}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        size = math.ceil(n_fake / self.splits)
        self._used = math.ceil(n_fake / size)  # fewer where the images don't go round
        return TorchInceptionScore(PassThrough(width), splits=self._used)
