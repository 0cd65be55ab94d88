from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Number, mean and scatter of rows, which determine the Gaussian fitted to them.

    The scatter is about the mean, not about 0, so that a large mean causes no cancellation.

    Attributes:
        size: float64 scalar, number of rows.
        mean: float64 [d].
        scatter: float64 [d, d], the sum of the outer products of (row - mean).
    """

    size: Tensor
    mean: Tensor
    scatter: Tensor

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance, float64 [d, d]; not finite for a single row."""
        return self.scatter / (self.size - 1)

    def to(self, device: torch.device) -> Moments:
        """Returns these moments on ``device``."""
        return Moments(*(value.to(device) for value in self))


def nothing(width: int) -> Moments:
    """Returns the moments of zero rows of ``width`` columns, on the CPU."""
    zeros = torch.zeros(width, dtype=torch.float64)
    return Moments(zeros.new_zeros(()), zeros, zeros.new_zeros(width, width))


def moments_of(rows: Tensor) -> Moments:
    """Returns the moments of rows [n, d], n >= 1, computed in float64."""
    values = rows.double()
    mean = values.mean(0)
    centred = values - mean
    size = torch.tensor(float(len(rows)), dtype=torch.float64, device=rows.device)
    return Moments(size, mean, centred.T @ centred)


def merge(first: Moments, second: Moments) -> Moments:
    """Returns the moments of the union of two sets of rows. Chan, Golub & LeVeque 1983.

    The new scatter is the sum of both scatters and of the scatter of the two means about the new
    mean.
    """
    size = first.size + second.size
    apart = second.mean - first.mean
    share = second.size / size.clamp(min=1)
    between = torch.outer(apart, apart * (first.size * share))
    return Moments(size, first.mean + apart * share, (first.scatter + second.scatter).add_(between))


def merge_stacked(sizes: Tensor, means: Tensor, scatters: Tensor) -> Moments:
    """Returns the merged moments of all processes.

    Args:
        sizes: number of rows of one process [] or of each process [world].
        means: [d] or [world, d].
        scatters: [d, d] or [world, d, d].
    """
    width = means.shape[-1]
    parts = zip(
        sizes.reshape(-1),
        means.reshape(-1, width),
        scatters.reshape(-1, width, width),
        strict=True,
    )
    total, *others = (Moments(*part) for part in parts)
    for other in others:
        total = merge(total, other)
    return total
