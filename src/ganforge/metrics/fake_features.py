from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import Uses

MOST_BYTES = 4 * 2**30


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
