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


class Rows(Metric):
    """Keeps rows in named lists, in their original precision.

    Rows of several processes are concatenated in the order of ranks.

    Args:
        names: names of the lists.
    """

    full_state_update = False

    def __init__(self, *names: str) -> None:
        super().__init__(compute_with_cache=False)  # the cache would double the memory
        self.names = names
        for name in names:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, **rows: Tensor) -> None:
        """Adds rows [n, ...] to lists, by name."""
        for name, values in rows.items():
            getattr(self, name).append(values)

    def compute(self) -> Any:
        """Returns a tuple of all rows of each list; subclasses return values computed from them."""
        return tuple(dim_zero_cat(getattr(self, name)) for name in self.names)


class RealAndFake(Rows):
    """Keeps the rows of real and of generated images."""

    def __init__(self) -> None:
        super().__init__("real", "fake")

    def compute(self) -> Any:
        """Returns all rows, real [n, d] and generated [m, d], unless a subclass overrides it.

        Raises:
            ConfigError: There are fewer than two real or generated rows.
        """
        both = super().compute()
        for name, rows in zip(("real", "generated"), both, strict=True):
            if len(rows) < 2:
                raise ConfigError(f"a distance needs at least 2 {name} images, got {len(rows)}")
        return both


def generator(seed: int) -> torch.Generator:
    """Returns a seeded generator on the CPU, so that draws are the same for every device."""
    return torch.Generator().manual_seed(seed)
