from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import Uses

# Side of the tiles in which products of all rows are computed: half a MiB of float64, which fits
# into a processor's cache and is cheap to allocate.
TILE = 256
MOST_BYTES = 4 * 2**30


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


class FakeRows:
    """Features and logits of generated images, kept in CPU memory for the bootstrap.

    Args:
        n: number of generated images.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.labels: Tensor | None = None
        self._rows: dict[tuple[FeatureExtractor, Uses], Tensor] = {}

    def keep(self, extractor: FeatureExtractor, uses: Uses, values: Tensor, first: int) -> None:
        """Stores the rows [m, width] of images first ... first + m - 1.

        Raises:
            ConfigError: The rows of all ``n`` images exceed ``MOST_BYTES``.
        """
        key = (extractor, uses)
        if key not in self._rows:
            self._check_size(values)
            self._rows[key] = values.new_empty((self.n, values.shape[1]), device="cpu")
        self._rows[key][first : first + len(values)] = values.cpu()

    def request_labels(self, labels: Tensor | None, first: int) -> None:
        """Stores the requested classes of images first ..., int64 [m]; ignores None."""
        if labels is not None:
            if self.labels is None:
                self.labels = torch.empty(self.n, dtype=torch.int64)
            self.labels[first : first + len(labels)] = labels.cpu()

    def rows(self, extractor: FeatureExtractor, uses: Uses, indices: Tensor) -> Tensor:
        """Returns the rows [m, width] of the images at int64 ``indices`` [m]."""
        return self._rows[extractor, uses][indices]

    def _check_size(self, values: Tensor) -> None:
        size = sum(rows.nbytes for rows in self._rows.values())
        size += self.n * values.shape[1] * values.element_size()
        if size > MOST_BYTES:
            raise ConfigError(
                f"bootstrap would keep {size / 2**30:.1f} GiB of features of {self.n} images, and "
                f"the limit is {MOST_BYTES / 2**30:.0f} GiB: lower n, or leave bootstrap out"
            )
