"""Checks that class-conditional scores have labels and enough images per class."""

from __future__ import annotations

from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.scores.score import Score
from ganforge.metrics.source import ImageSource


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
        ConfigError: A score needs classes, and the game or the data have none, or too few images
            of a class.
    """
    for name, score in scores.items():
        if not score.needs_labels:
            continue
        asked = known(name, labels(n, 0))
        real = data.real_labels(split) if score.needs_real else None
        if score.needs_real and real is None:
            raise ConfigError(
                f"metrics={name} compares class by class, and the {split} images of "
                f"data={data.name} have no labels. Leave it out of metrics=[...], or take "
                f"another split"
            )
        if real is not None:
            score.check_classes(real[:n_real], asked)


def check_labels(scores: dict[str, Score], num_classes: int) -> None:
    """Raises ConfigError if a score needs requested classes and the game has no classes."""
    for name, score in scores.items():
        if score.needs_labels and num_classes == 0:
            known(name, None)


def known(name: str, labels: Tensor | None) -> Tensor:
    """Returns the requested classes; raises ConfigError if they are None."""
    if labels is None:
        raise ConfigError(
            f"metrics={name} compares with the classes asked for, and this model makes images "
            "without classes. Leave it out of metrics=[...], or take model=cgan"
        )
    return labels
