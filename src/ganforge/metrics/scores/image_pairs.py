from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.metrics.rows import generator
from ganforge.streams import Stream, mix


class ImagePairs(Metric):
    """Keeps those of all images that make pairs, which are drawn at random.

    No image is in two pairs. Which images make pairs is a function of seed, n and pairs alone, and
    so independent of how images are ordered by class, of batches and of processes.

    Args:
        pairs: pairs, at most n / 2.
        n: all images, over all processes.
        seed: decides the pairs.
        first: place of this process's first image among all.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, pairs: int, n: int, seed: int, first: int = 0) -> None:
        super().__init__()
        self.pairs = pairs
        self.place = first
        # Images of the pairs' first sides, then their partners.
        self.drawn = torch.randperm(n, generator=generator(mix(seed, Stream.PAIRS)))[: 2 * pairs]
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor) -> None:
        """Takes this process's next images, [n, width]."""
        places = torch.arange(self.place, self.place + len(rows))
        self.place += len(rows)
        self.rows.append(rows[torch.isin(places, self.drawn).to(rows.device)])

    def compute(self) -> tuple[Tensor, Tensor]:
        """Returns the pairs' first and second images, [pairs, width] each."""
        rows = dim_zero_cat(self.rows)  # in the order of the images
        rank = self.drawn.argsort().argsort().to(rows.device)
        return rows[rank[: self.pairs]], rows[rank[self.pairs :]]
