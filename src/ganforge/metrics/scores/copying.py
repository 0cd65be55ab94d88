"""Statistics of whether generated images are closer to training images than held-out ones are."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def share_below_median(fake: Tensor, held_out: Tensor) -> float:
    """Returns the share of generated images closer than the median held-out image, in [0, 1].

    About 1/2 for images from the data distribution, 1 for copies. Distances equal to the median
    count half.

    Args:
        fake: distances of generated images to their nearest training image, [n].
        held_out: distances of held-out images to their nearest training image, [m].
    """
    median = torch.quantile(held_out.double(), 0.5)
    below, equal = (fake < median).double(), (fake == median).double()
    return float((below + equal / 2).mean())


def data_copying(fake: Tensor, held_out: Tensor) -> float:
    """Returns the data-copying statistic C_T of Meehan et al. 2020 (arXiv:2004.05675), in one cell.

    The standardized Mann-Whitney U of both sets of distances: about N(0, 1) if generated images are
    as far from the training images as held-out ones. Values far below 0 (-3 and less) mean that
    they are closer (copying), values far above 0 that they are farther away (underfitting).

    Args:
        fake: distances of generated images to their nearest training image, [n].
        held_out: distances of held-out images to their nearest training image, [m].
    """
    n, m = len(fake), len(held_out)
    ordered = held_out.double().sort().values
    below, not_above = (
        torch.searchsorted(ordered, fake.double(), right=right) for right in (False, True)
    )
    wins = float((below + not_above).double().sum()) / 2
    return (wins - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
