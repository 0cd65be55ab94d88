from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.scores.score import Score
from ganforge.metrics.source import ImageSource

Distribution = Literal["balanced", "data"]
DISTRIBUTIONS = ("balanced", "data")


class RequestedLabels:
    """The requested classes of the images that are generated for an evaluation.

    The class of image i depends on i only, so that processes can share the work.

    Args:
        distribution: "balanced" cycles through the classes, i modulo their number; "data" uses the
            label of the i-th real image in the fixed shuffled order, cyclically.
        num_classes: number of classes of the model, 0 for an unconditional model.
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
        self._labels: Tensor | None = None
        if distribution == "data" and num_classes > 0:
            if data is None or data.num_classes != num_classes:
                count = 0 if data is None else data.num_classes
                raise ConfigError(
                    f"labels=data: the data have {count} classes and the model {num_classes}. "
                    "Use labels=balanced"
                )
            self._labels = data.real_labels(split)
            if self._labels is None:
                raise ConfigError(f"labels=data: data={data.name} has no labels")

    def __call__(self, n: int, start: int) -> Tensor | None:
        """Returns the classes of images start ... start + n - 1, int64 [n], or None."""
        if self.num_classes == 0:
            return None
        index = torch.arange(start, start + n)
        if self._labels is None:
            return index % self.num_classes
        return self._labels[index % len(self._labels)]

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the distribution of classes; empty for an unconditional model."""
        return {"labels": self.distribution} if self.num_classes > 0 else {}


def check_distribution(distribution: str) -> None:
    """Raises ConfigError if ``distribution`` is unknown."""
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(f"labels must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")


def check_classes(
    scores: dict[str, Score],
    data: ImageSource,
    labels: RequestedLabels,
    n: int,
    n_real: int,
    split: str,
) -> None:
    """Checks class-conditional scores by labels alone, before any image is generated or read.

    Args:
        scores: by name.
        data: real images.
        labels: requested classes of the generated images.
        n: number of generated images.
        n_real: maximum number of real images.
        split: split of the real images.

    Raises:
        ConfigError: A score needs classes, and the model or the data have none, or too few images
            of a class.
    """
    for name, score in scores.items():
        if "labels" not in score.needs:
            continue
        requested = known(name, labels(n, 0))
        real = data.real_labels(split) if score.needs_real else None
        if score.needs_real and real is None:
            raise ConfigError(
                f"metrics={name} compares class by class, and the {split} images of "
                f"data={data.name} have no labels. Leave it out of metrics=[...], or use another "
                "split"
            )
        if real is not None:
            score.check_classes(real[:n_real], requested)


def check_labels(scores: dict[str, Score], num_classes: int) -> None:
    """Raises ConfigError if a score needs requested classes and the model has no classes."""
    for name, score in scores.items():
        if "labels" in score.needs and num_classes == 0:
            known(name, None)


def known(name: str, labels: Tensor | None) -> Tensor:
    """Returns the requested classes; raises ConfigError if they are None."""
    if labels is None:
        raise ConfigError(
            f"metrics={name} compares with the requested classes, and this model has no classes. "
            "Leave it out of metrics=[...], or use model=cgan"
        )
    return labels
