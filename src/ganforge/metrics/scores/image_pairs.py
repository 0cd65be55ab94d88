from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.metrics.rows import generator
from ganforge.streams import Stream, mix


class ImagePairs(Metric):
    """Keeps the images of randomly drawn pairs.

    No image is in two pairs. The pairs depend only on seed, n and number of pairs, not on the order
    of classes, on batches or on the number of processes.

    Args:
        pairs: number of pairs, at most n / 2.
        n: number of images, over all processes.
        seed: seed of the draw.
        first: index of this process's first image among all.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, pairs: int, n: int, seed: int, first: int = 0) -> None:
        super().__init__()
        self.pairs = pairs
        self.place = first
        # Indices of the first image of each pair, then of the second ones.
        self.drawn = torch.randperm(n, generator=generator(mix(seed, Stream.PAIRS)))[: 2 * pairs]
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor) -> None:
        """Adds those of this process's next images [n, width] that are in a pair."""
        places = torch.arange(self.place, self.place + len(rows))
        self.place += len(rows)
        self.rows.append(rows[torch.isin(places, self.drawn).to(rows.device)])

    def compute(self) -> tuple[Tensor, Tensor]:
        """Returns the pairs' first and second images, [pairs, width] each."""
        rows = dim_zero_cat(self.rows)  # in the order of the images
        # The rank of each drawn index is the position of that image in ``rows``.
        rank = self.drawn.argsort().argsort().to(rows.device)
        return rows[rank[: self.pairs]], rows[rank[self.pairs :]]
