from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.source import ImageSource

Distribution = Literal["balanced", "data"]
DISTRIBUTIONS = ("balanced", "data")


class RequestedLabels:
    """The requested classes of the images that are generated for an evaluation.

    The class of image i depends on i only, so that processes can share the work.

    Args:
        distribution: "balanced" cycles through the classes, i modulo their number; "data" uses the
            label of the i-th real image in the fixed shuffled order, cyclically.
        num_classes: number of classes of the game, 0 for a game without classes.
        data: source of the labels for "data".
        split: split of these labels.
    """

    def __init__(
        self,
        distribution: Distribution = "balanced",
        num_classes: int = 0,
        data: ImageSource | None = None,
        split: str = "train",
    ) -> None:
        check_distribution(distribution)
        self.distribution = distribution
        self.num_classes = num_classes
        self._kept: Tensor | None = None
        if distribution == "data" and num_classes > 0:
            if data is None or data.num_classes != num_classes:
                found = 0 if data is None else data.num_classes
                raise ConfigError(
                    f"labels=data: the data have {found} classes and the model {num_classes}. "
                    "Take labels=balanced"
                )
            self._kept = _labels_of(data, split)

    def __call__(self, n: int, start: int) -> Tensor | None:
        """Returns the classes of images start ... start + n - 1, int64 [n], or None."""
        if self.num_classes == 0:
            return None
        index = torch.arange(start, start + n)
        return (
            index % self.num_classes if self._kept is None else self._kept[index % len(self._kept)]
        )

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the distribution of classes; empty for a game without classes."""
        return {"labels": self.distribution} if self.num_classes > 0 else {}


def check_distribution(distribution: str) -> None:
    """Raises ConfigError if ``distribution`` is unknown."""
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(f"labels must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")


def _labels_of(data: ImageSource, split: str) -> Tensor:
    labels = data.real_labels(split)
    if labels is None:
        raise ConfigError(f"labels=data: data {data.name!r} have no labels")
    return labels
