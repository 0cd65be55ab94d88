from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.errors import ConfigError

# Side of the tiles in which products of all rows are computed: half a MiB of float64, which fits
# into a processor's cache and is cheap to allocate.
TILE = 256


class RealAndFake(Metric):
    """Keeps the rows of real and of generated images, in their original precision.

    Rows of several processes are concatenated in the order of ranks.
    """

    full_state_update = False
    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self) -> None:
        super().__init__(compute_with_cache=False)  # the cache would double the memory
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor, real: bool) -> None:
        """Adds rows [n, d] of real or of generated images."""
        (self.real if real else self.fake).append(rows)

    def rows(self) -> tuple[Tensor, Tensor]:
        """Returns all rows: real [n, d] and generated [m, d].

        Raises:
            ConfigError: There are fewer than two real or generated rows.
        """
        real, fake = dim_zero_cat(self.real), dim_zero_cat(self.fake)
        for name, rows in (("real", real), ("generated", fake)):
            if len(rows) < 2:
                raise ConfigError(f"a distance needs 2 {name} images at least, got {len(rows)}")
        return real, fake

    def compute(self) -> Any:
        """Returns the rows; subclasses return values computed from them."""
        return self.rows()


def generator(seed: int) -> torch.Generator:
    """Returns a seeded generator on the CPU, so that draws are the same for every device."""
    return torch.Generator().manual_seed(seed)
