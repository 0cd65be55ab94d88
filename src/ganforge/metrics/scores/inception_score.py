from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.rows import generator
from ganforge.metrics.scores.score import Score, ScoreValue


class InceptionScore(Score):
    """Inception score, exp E KL(p(y|x) || p(y)), from 1 to k; high for distinct, varied images.

    Salimans et al. 2016, arXiv:1606.03498. Does not use real images; repeating one clear image per
    class yields the maximum. Cannot see: duplicates within a class, copies of training images.

    Args:
        splits: number of random parts of the images over which mean and standard deviation are
            computed.
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
        """Adds this process's next logits [n, k] of generated images."""
        parts = self._parts[self._next : self._next + len(values)]
        self._next += len(values)
        self.metric.update(values.to(self.device), parts.to(self.device))

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns mean and standard deviation over parts, which were drawn at the reset."""
        values = self.metric.compute().reshape(-1)
        deviation = float(values.std(correction=0)) if len(values) > 1 else None
        return ScoreValue(float(values.mean()), deviation)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of parts."""
        return {"splits": self._used}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        self._used = min(self.splits, n_fake)  # no part may be empty
        self._parts = draw_parts(n_fake, self._used, self.seed)
        self._next = self.first
        return ClassEntropies(width, self._used)


class ClassEntropies(Metric):
    """Sums class probabilities per part; memory is k numbers per part for any number of images.

    Args:
        width: k.
        parts: number of parts.
    """

    full_state_update = False
    probabilities: Tensor
    information: Tensor
    count: Tensor

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        for name, shape in (("probabilities", (parts, width)), ("information", (parts,))):
            zeros = torch.zeros(shape, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(parts, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, parts: Tensor) -> None:
        """Adds logits [n, k] and the part that each image is in, int64 [n]."""
        logs = logits.double().log_softmax(1)
        probabilities = logs.exp()
        # Not index_add_, which is not deterministic on CUDA.
        members = torch.nn.functional.one_hot(parts, len(self.count)).double()
        self.probabilities += members.T @ probabilities
        self.information += members.T @ (probabilities * logs).sum(1)
        self.count += members.sum(0)

    def compute(self) -> Tensor:
        """Returns the score of each part, float64 [parts]."""
        return inception_scores(self.probabilities, self.information, self.count)


def inception_scores(probabilities: Tensor, information: Tensor, count: Tensor) -> Tensor:
    """Returns exp(E sum p log p - sum q log q) of each part, q = E p, float64 [parts].

    Args:
        probabilities: p(y|x) summed over the images of each part, [parts, k].
        information: sum_y p log p in nats, summed over the images of each part, [parts].
        count: number of images in each part, [parts].
    """
    marginal = probabilities / count[:, None]
    return (information / count - torch.xlogy(marginal, marginal).sum(1)).exp()


def draw_parts(n: int, parts: int, seed: int) -> Tensor:
    """Returns the part of each of ``n`` images, int64 [n], after shuffling them.

    As in the authors' code, part i has the shuffled images i n // parts ... (i + 1) n // parts - 1.
    """
    order = torch.randperm(n, generator=generator(seed))
    bounds = torch.arange(1, parts) * n // parts
    chosen = torch.empty_like(order)
    chosen[order] = torch.bucketize(torch.arange(n), bounds, right=True)
    return chosen
