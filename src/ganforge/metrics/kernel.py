from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.rows import TILE, RealAndFake, generator
from ganforge.metrics.score import Score, ScoreValue

# What a kernel value costs beyond its product, in columns.
ELEMENTWISE = 64


class KernelDistance(Score):
    """Squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, about 0 for equal sets.

    Called KID with Inception features. Binkowski et al. 2018, arXiv:1801.01401. Unbiased: it can
    be below 0, and values of few images are comparable with those of many. Sees moments up to the
    third. Cannot see: copies of training images, which look better than new images.

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

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's next rows [n, width]."""
        self.metric.update(values.to(self.device), real)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns mean and standard deviation over subsets drawn with ``seed``."""
        real, fake = self.metric.compute()
        values = kernel_distances(
            real, fake, *draw_subsets(len(real), len(fake), *self._used, seed)
        )
        deviation = float(values.std(correction=0)) if len(values) > 1 else None
        return ScoreValue(float(values.mean()), deviation)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the subsets as they were taken."""
        return {"subsets": self._used[0], "subset_size": self._used[1]}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        size = min(self.subset_size, n_real, n_fake)
        # All images make the same subset every time: once is enough.
        whole = size == n_real == n_fake
        self._used = (1 if whole else self.subsets, size)
        return RealAndFake()


def draw_subsets(
    n_real: int, n_fake: int, subsets: int, size: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Draws rows of real and of generated images, int64 [subsets, size] each."""
    draws = generator(seed)
    pairs = [
        tuple(torch.randperm(n, generator=draws)[:size] for n in (n_real, n_fake))
        for _ in range(subsets)
    ]
    return torch.stack([real for real, _ in pairs]), torch.stack([fake for _, fake in pairs])


def kernel_distances(real: Tensor, fake: Tensor, real_rows: Tensor, fake_rows: Tensor) -> Tensor:
    """Returns the unbiased squared maximum mean discrepancy of pairs of subsets, float64 [s].

    The mean of k over distinct real pairs and over distinct generated pairs, less twice that over
    mixed ones, k(x, y) = (x.y / d + 1)^3. Gretton et al. 2012, JMLR 13; Binkowski et al. 2018,
    arXiv:1801.01401. Kernel values of float32 rows are float32 on the CPU, which is quicker; their
    sums are float64, and rounding, which differs from pair to pair, leaves about 1e-6 of a value.

    Args:
        real: [n, d].
        fake: [m, d].
        real_rows: rows of each real subset, distinct, int64 [s, size].
        fake_rows: rows of each generated subset, likewise, and as many.
    """
    subsets, size = real_rows.shape
    real, fake = _precise(real), _precise(fake)
    width = real.shape[1] + ELEMENTWISE
    if subsets * size**2 * width < max(len(real), len(fake)) ** 2 * (width + subsets):
        pairs = zip(real_rows, fake_rows, strict=True)
        return torch.cat([_one(real[ours], fake[theirs]) for ours, theirs in pairs])
    # Subsets overlap: every kernel value is computed once, and counted in those it is part of.
    return _discrepancies(real, fake, _members(real_rows, real), _members(fake_rows, fake), size)


def _precise(rows: Tensor) -> Tensor:
    """Returns rows whose products are exact enough: on CUDA, those of float32 may be of TF32."""
    return rows.double() if rows.is_cuda else rows


def _one(real: Tensor, fake: Tensor) -> Tensor:
    everything = real.new_ones(len(real), 1)
    return _discrepancies(real, fake, everything, everything, len(real))


def _discrepancies(real: Tensor, fake: Tensor, ours: Tensor, theirs: Tensor, size: int) -> Tensor:
    within = _pair_sums(real, ours) + _pair_sums(fake, theirs)
    return within / (size * (size - 1)) - 2 * _mixed_sums(real, fake, ours, theirs) / size**2


def _members(rows: Tensor, values: Tensor) -> Tensor:
    """Returns [n, s]: 1 where a row is in a subset."""
    members = values.new_zeros(len(values), len(rows))
    return members.scatter_(0, rows.T.to(values.device), 1.0)


def _pair_sums(values: Tensor, members: Tensor) -> Tensor:
    """Returns the kernel's sum over the pairs of distinct rows of each subset, [s]."""
    total = members.new_zeros(members.shape[1], dtype=torch.float64)
    tiles = list(zip(torch.split(values, TILE), torch.split(members, TILE), strict=True))
    for place, (rows, ours) in enumerate(tiles):
        kernel = _kernel(rows, rows)
        kernel.diagonal().zero_()
        total += (ours * (kernel @ ours)).sum(0, dtype=torch.float64)
        # Symmetric: tiles behind this one count twice, and none before it is looked at.
        for columns, theirs in tiles[place + 1 :]:
            shared = ours * (_kernel(rows, columns) @ theirs)
            total += 2 * shared.sum(0, dtype=torch.float64)
    return total


def _mixed_sums(first: Tensor, second: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """Returns the kernel's sum over the pairs of a row of each side, for each subset, [s]."""
    total = ours.new_zeros(ours.shape[1], dtype=torch.float64)
    for rows, members in zip(torch.split(first, TILE), torch.split(ours, TILE), strict=True):
        for columns, others in zip(
            torch.split(second, TILE), torch.split(theirs, TILE), strict=True
        ):
            shared = members * (_kernel(rows, columns) @ others)
            total += shared.sum(0, dtype=torch.float64)
    return total


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    one = first.new_ones(1, 1)
    linear = torch.addmm(one, first, second.T, alpha=1 / first.shape[1])
    return linear.square().mul_(linear)
