from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class ImagePairs(Metric):
    """Keeps those of all images that make pairs: image i and image i + ``apart``.

    Args:
        pairs: i = 0 ... pairs - 1.
        apart: distance between an image and its partner, at least ``pairs``.
        first: place of this process's first image among all.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, pairs: int, apart: int, first: int = 0) -> None:
        super().__init__()
        self.pairs = pairs
        self.apart = apart
        self.place = first
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor) -> None:
        """Takes this process's next images, [n, width]."""
        places = torch.arange(self.place, self.place + len(rows))
        self.place += len(rows)
        kept = (places < self.pairs) | ((places >= self.apart) & (places < self.apart + self.pairs))
        self.rows.append(rows[kept.to(rows.device)])

    def compute(self) -> tuple[Tensor, Tensor]:
        """Returns the pairs' first and second images, [pairs, width] each."""
        rows = dim_zero_cat(self.rows)
        return rows[: self.pairs], rows[self.pairs :]
