from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.errors import ConfigError
from ganforge.metrics.moments import Moments, merge, merge_stacked, moments_of, nothing
from ganforge.metrics.real_features import RealShare
from ganforge.metrics.scores.score import Score

SIDES = ("real", "fake")
# Rows per block in products of factors.
ROWS = 256
# Eigenvalues below this share of the largest are rounding errors: the sum of their square roots
# would bias the trace.
ROUNDING = 16 * torch.finfo(torch.float64).eps


class FrechetDistance(Score):
    """Frechet distance of Gaussians fitted to real and generated features, 0 for equal ones.

    |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)). Called FID with Inception features.
    Heusel et al. 2017, arXiv:1706.08500. Biased upwards, more so for fewer images: only values of
    the same ``n_real`` and ``n_fake`` are comparable. Compares means and covariances only.
    Cannot see: copies of training images, which look better than new images.
    """

    def update_real(self, share: RealShare) -> None:
        """Adds this process's real images; only their moments if they outnumber the columns."""
        if self.streams:
            self.metric.update(share.moments(self.uses).to(self.device), real=True)
        else:
            super().update_real(share)

    def update(self, values: Tensor, real: bool) -> None:
        """Adds this process's next rows [n, width]."""
        self.metric.update(values.to(self.device), real)

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        self.streams = n_real > width
        return GaussianDistance(width, n_real, n_fake)


class GaussianDistance(Metric):
    """The Frechet distance of two sets of rows, in at most 2 d^2 numbers of memory.

    For a set with more rows than columns, moments are accumulated in float64. A smaller set is kept
    as rows, which need less memory than its covariance.

    Args:
        width: d.
        n_real: rows of the real set, over all processes.
        n_fake: rows of the generated set, over all processes.
    """

    full_state_update = False

    def __init__(self, width: int, n_real: int, n_fake: int) -> None:
        super().__init__()
        self.kept = {"real": n_real <= width, "fake": n_fake <= width}
        for side in SIDES:
            if self.kept[side]:
                self.add_state(f"{side}_rows", [], dist_reduce_fx="cat")
                continue
            # Stacked (None), not summed: means and scatters need merge_stacked to be combined.
            for name, value in nothing(width)._asdict().items():
                self.add_state(f"{side}_{name}", value, dist_reduce_fx=None)

    def update(self, rows: Tensor | Moments, real: bool) -> None:
        """Adds rows [n, d], or their moments, to the real or to the generated set."""
        side = SIDES[not real]
        if isinstance(rows, Tensor) and self.kept[side]:
            getattr(self, f"{side}_rows").append(rows)
            return
        more = moments_of(rows) if isinstance(rows, Tensor) else rows
        for name, value in merge(self._moments(side), more)._asdict().items():
            setattr(self, f"{side}_{name}", value)

    def compute(self) -> Tensor:
        """Returns the distance, a float64 scalar.

        Raises:
            ConfigError: A set has fewer than two rows.
        """
        return distance_of_spreads(*(self._spread(side) for side in SIDES))

    def _moments(self, side: str) -> Moments:
        return merge_stacked(*(getattr(self, f"{side}_{name}") for name in Moments._fields))

    def _spread(self, side: str) -> Spread:
        if self.kept[side]:
            return spread_of_rows(dim_zero_cat(getattr(self, f"{side}_rows")))
        # There are more rows than columns, and so at least two.
        moments = self._moments(side)
        return Spread(moments.mean, None, moments.covariance)


class Spread(NamedTuple):
    """A Gaussian, given by its covariance S or by a factor F with few rows and F^T F = S.

    Attributes:
        mean: float64 [d].
        factor: float64 [r, d]; None if ``covariance`` is set.
        covariance: float64 [d, d]; None if ``factor`` is set.
    """

    mean: Tensor
    factor: Tensor | None
    covariance: Tensor | None


def spread_of_rows(rows: Tensor) -> Spread:
    """Returns the Gaussian fitted to rows [n, d]: a factor if n <= d, else a covariance.

    Raises:
        ConfigError: There are fewer than two rows.
    """
    if len(rows) < 2:
        raise ConfigError(f"the Frechet distance needs at least 2 images, got {len(rows)}")
    if len(rows) > rows.shape[1]:
        moments = moments_of(rows)
        return Spread(moments.mean, None, moments.covariance)
    values = rows.double()
    mean = values.mean(0)
    return Spread(mean, (values - mean) / (len(rows) - 1) ** 0.5, None)


def frechet_distance(
    mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor
) -> Tensor:
    """Returns the squared Frechet distance of two Gaussians, a float64 scalar of 0 or more.

    Dowson & Landau 1982; Heusel et al. 2017, arXiv:1706.08500.

    Args:
        mean_1: [d].
        covariance_1: [d, d], symmetric and positive semidefinite, singular or not.
        mean_2: [d].
        covariance_2: [d, d], likewise.
    """
    first = Spread(mean_1.double(), None, covariance_1.double())
    return distance_of_spreads(first, Spread(mean_2.double(), None, covariance_2.double()))


def distance_of_spreads(first: Spread, second: Spread) -> Tensor:
    """Returns the squared Frechet distance; exact for singular covariances as well."""
    means = (first.mean - second.mean).square().sum()
    distance = means + _variance(first) + _variance(second) - 2 * root_trace(first, second)
    # Rounding can make the distance of equal Gaussians slightly negative, such as -1e-9.
    return distance.clamp(min=0)


def root_trace(first: Spread, second: Spread) -> Tensor:
    """Returns tr (S S')^(1/2), from the eigenvalues of the smallest possible symmetric matrix.

    With S = F^T F, the nonzero eigenvalues of S S' are those of F S' F^T.
    """
    factor, second = _factored(first, second)
    if second.factor is not None:
        mixed = factor @ second.factor.T
        inner = mixed @ mixed.T
    else:
        assert second.covariance is not None
        inner = _lower_of_sandwich(factor, second.covariance)
    values = torch.linalg.eigvalsh(inner)
    trace: Tensor = values[values > ROUNDING * values[-1:]].clamp(min=0).sqrt().sum()
    return trace


def _lower_of_sandwich(factor: Tensor, covariance: Tensor) -> Tensor:
    """Returns F S F^T without most of its upper triangle, which ``eigvalsh`` does not read.

    Computed in blocks of F's rows. Leading zero columns of a block are skipped, which for a
    triangular F leaves a third of the products.
    """
    inner = factor.new_zeros(len(factor), len(factor))
    blocks = torch.split(factor, ROWS)
    # argmax of a boolean mask is the index of the first nonzero column.
    begins = [int((block != 0).any(0).byte().argmax()) for block in blocks]
    for index, (block, begin) in enumerate(zip(blocks, begins, strict=True)):
        columns = slice(index * ROWS, index * ROWS + len(block))
        product = block[:, begin:] @ covariance[begin:]
        for below in range(index, len(blocks)):
            start, rows = begins[below], blocks[below]
            lines = slice(below * ROWS, below * ROWS + len(rows))
            inner[lines, columns] = rows[:, start:] @ product[:, start:].T
    return inner


def _factored(first: Spread, second: Spread) -> tuple[Tensor, Spread]:
    """Returns the factor F of one Gaussian, whichever is cheaper, and the other Gaussian."""
    known = [one for one in (first, second) if one.factor is not None]
    if known:
        # The factor with fewer rows yields the smaller eigenvalue problem.
        one = min(known, key=lambda spread: len(cast(Tensor, spread.factor)))
        return cast(Tensor, one.factor), second if one is first else first
    for one, other in ((first, second), (second, first)):
        factor = triangular_factor(cast(Tensor, one.covariance))
        if factor is not None:
            return factor, other
    return eigenvector_factor(cast(Tensor, first.covariance)), second


def triangular_factor(covariance: Tensor) -> Tensor | None:
    """Returns F [r, d] with F^T F = S by Cholesky decomposition; None if S is singular.

    Constant features, such as those of dead units, are left out first and do not make S singular.
    """
    variances = covariance.diagonal()
    alive = variances > ROUNDING * variances.max()
    lower, failed = torch.linalg.cholesky_ex(covariance[alive][:, alive])
    if failed:
        return None
    factor = covariance.new_zeros(len(lower), len(covariance))
    factor[:, alive] = lower.T
    return factor


def eigenvector_factor(covariance: Tensor) -> Tensor:
    """Returns F [r, d] with F^T F = S for a singular S, by eigendecomposition, which is slower."""
    values, vectors = torch.linalg.eigh(covariance)
    real = values > ROUNDING * values[-1:]
    factor: Tensor = vectors[:, real] * values[real].sqrt()
    return factor.T


def _variance(spread: Spread) -> Tensor:
    if spread.factor is not None:
        return spread.factor.square().sum()
    assert spread.covariance is not None
    return spread.covariance.trace()
