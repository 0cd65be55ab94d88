from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.rows import TILE, RealAndFake, generator
from ganforge.metrics.scores.score import Score, ScoreValue

# Cost of the elementwise part of a kernel value, in columns of the matrix product.
ELEMENTWISE = 64


class KernelDistance(Score):
    """Squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, about 0 for equal sets.

    Called KID with Inception features. Binkowski et al. 2018, arXiv:1801.01401. Unbiased: it can
    be below 0, and values of few images are comparable with those of many. Compares moments up to
    the third. Cannot see: copies of training images, which look better than new images.

    Args:
        subsets: number of random subsets over which mean and standard deviation are computed.
        subset_size: images per subset. If there are no more images than that, one subset of all
            images is used and there is no standard deviation.
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
        """Adds this process's next rows [n, width]."""
        self.metric.update(**{"real" if real else "fake": values.to(self.device)})

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns mean and standard deviation over subsets drawn with ``seed``."""
        real, fake = self.metric.compute()
        values = kernel_distances(
            real, fake, *draw_subsets(len(real), len(fake), *self._used, seed)
        )
        deviation = float(values.std(correction=0)) if len(values) > 1 else None
        return ScoreValue(float(values.mean()), deviation)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number and size of the subsets that were used."""
        return {"subsets": self._used[0], "subset_size": self._used[1]}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        size = min(self.subset_size, n_real, n_fake)
        # Every subset would consist of all images, so one is enough.
        whole = size == n_real == n_fake
        self._used = (1 if whole else self.subsets, size)
        return RealAndFake()


def draw_subsets(
    n_real: int, n_fake: int, subsets: int, size: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Draws subsets of real and of generated rows: indices, int64 [subsets, size] each."""
    draws = generator(seed)
    pairs = [
        tuple(torch.randperm(n, generator=draws)[:size] for n in (n_real, n_fake))
        for _ in range(subsets)
    ]
    return torch.stack([real for real, _ in pairs]), torch.stack([fake for _, fake in pairs])


def kernel_distances(real: Tensor, fake: Tensor, real_rows: Tensor, fake_rows: Tensor) -> Tensor:
    """Returns the unbiased squared maximum mean discrepancy of pairs of subsets, float64 [s].

    The mean of k over real pairs and over generated pairs of distinct rows, minus twice the mean
    over mixed pairs, with k(x, y) = (x.y / d + 1)^3. Gretton et al. 2012, JMLR 13; Binkowski et al.
    2018, arXiv:1801.01401.

    Args:
        real: [n, d].
        fake: [m, d].
        real_rows: indices of each real subset, distinct, int64 [s, size].
        fake_rows: indices of each generated subset, distinct, int64 [s, size].
    """
    subsets, size = real_rows.shape
    middle = (real.mean(0, dtype=torch.float64) + fake.mean(0, dtype=torch.float64)) / 2
    ours, theirs = about(middle, real), about(middle, fake)
    width = real.shape[1] + ELEMENTWISE
    # Subset by subset if that costs less than the kernel of all rows.
    if subsets * size**2 * width < max(len(real), len(fake)) ** 2 * (width + subsets):
        every = torch.ones(size, 1, dtype=torch.float64, device=real.device)
        pairs = zip(real_rows.to(real.device), fake_rows.to(real.device), strict=True)
        return torch.cat(
            [_discrepancies(ours.at(a), theirs.at(b), every, every, size) for a, b in pairs]
        )
    # Subsets overlap: every kernel value is computed once and added to each subset that has it.
    real_members, fake_members = _members(real_rows, ours), _members(fake_rows, theirs)
    return _discrepancies(ours, theirs, real_members, fake_members, size)


class Offsets(NamedTuple):
    """Rows x as offsets from a center c, such that x.y / d + 1 = u.v + a + b.

    Products of offsets avoid cancellation from the rows' common part, so that float32, which is
    faster, is precise enough for them.

    Attributes:
        steps: u = (x - c) / sqrt(d), [n, d].
        shares: a = u.c / sqrt(d) + (c.c / d + 1) / 2, float64 [n].
    """

    steps: Tensor
    shares: Tensor

    def at(self, rows: Tensor) -> Offsets:
        """Returns the rows at the given indices."""
        return Offsets(self.steps[rows], self.shares[rows])

    def tiles(self) -> list[Offsets]:
        """Returns the rows split into pieces of ``TILE`` rows."""
        pieces = zip(torch.split(self.steps, TILE), torch.split(self.shares, TILE), strict=True)
        return [Offsets(*piece) for piece in pieces]


def about(middle: Tensor, rows: Tensor) -> Offsets:
    """Returns rows [n, d] as offsets from ``middle``, float64 [d]."""
    root = rows.shape[1] ** 0.5
    steps, scaled = (rows.double() - middle) / root, middle / root
    shares = steps @ scaled + (scaled @ scaled + 1) / 2
    # Remains float64 on CUDA, where float32 products may use TF32.
    return Offsets(steps if rows.is_cuda else steps.to(rows.dtype), shares)


def _discrepancies(real: Offsets, fake: Offsets, ours: Tensor, theirs: Tensor, size: int) -> Tensor:
    within = _pair_sums(real, ours) + _pair_sums(fake, theirs)
    return within / (size * (size - 1)) - 2 * _mixed_sums(real, fake, ours, theirs) / size**2


def _members(rows: Tensor, values: Offsets) -> Tensor:
    """Returns the membership matrix, float64 [n, s]: 1 if a row is in a subset, else 0."""
    members = values.shares.new_zeros(len(values.shares), len(rows))
    return members.scatter_(0, rows.T.to(members.device), 1.0)


def _pair_sums(values: Offsets, members: Tensor) -> Tensor:
    """Returns the sum of kernel values over ordered pairs of distinct rows, per subset, [s]."""
    total = members.new_zeros(members.shape[1])
    tiles = list(zip(values.tiles(), torch.split(members, TILE), strict=True))
    for index, (rows, ours) in enumerate(tiles):
        kernel = _kernel(rows, rows)
        kernel.diagonal().zero_()
        total += (ours * (kernel @ ours)).sum(0)
        # The kernel is symmetric: tiles above the diagonal count twice, those below are skipped.
        for columns, theirs in tiles[index + 1 :]:
            total += 2 * (ours * (_kernel(rows, columns) @ theirs)).sum(0)
    return total


def _mixed_sums(first: Offsets, second: Offsets, ours: Tensor, theirs: Tensor) -> Tensor:
    """Returns the sum of kernel values over pairs of a row of each set, per subset, [s]."""
    total = ours.new_zeros(ours.shape[1])
    for rows, members in zip(first.tiles(), torch.split(ours, TILE), strict=True):
        for columns, others in zip(second.tiles(), torch.split(theirs, TILE), strict=True):
            total += (members * (_kernel(rows, columns) @ others)).sum(0)
    return total


def _kernel(first: Offsets, second: Offsets) -> Tensor:
    products = (first.steps @ second.steps.T).double()
    linear = products.add_(first.shares[:, None]).add_(second.shares)
    return linear.square().mul_(linear)
