"""Whether generated images are nearer to the training images than held-out ones are."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def share_below_median(fake: Tensor, held_out: Tensor) -> float:
    """Returns the share of generated images nearer than the median of held-out ones, in [0, 1].

    1/2 for images of the data's own distribution, 1 for copies. A distance equal to the median
    counts half.

    Args:
        fake: distances of generated images to their nearest training image, [n].
        held_out: those of held-out images, [m].
    """
    median = torch.quantile(held_out.double(), 0.5)
    below, equal = (fake < median).double(), (fake == median).double()
    return float((below + equal / 2).mean())


def data_copying(fake: Tensor, held_out: Tensor) -> float:
    """Returns the data-copying statistic C_T of Meehan et al. 2020 (arXiv:2004.05675), in one cell.

    Mann and Whitney's U of both lists of distances, standardized: about N(0, 1) where generated
    images are as far from the training images as held-out ones. Far below 0 (-3 and less) they are
    nearer: copied. Far above, they are farther off: underfitted.

    Args:
        fake: distances of generated images to their nearest training image, [n].
        held_out: those of held-out images, [m].
    """
    n, m = len(fake), len(held_out)
    ordered = held_out.double().sort().values
    below, not_above = (
        torch.searchsorted(ordered, fake.double(), right=right) for right in (False, True)
    )
    wins = float((below + not_above).double().sum()) / 2
    return (wins - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
