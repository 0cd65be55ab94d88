"""Refusing scores of classes where there are none, or too few images of one."""

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
    """Refuses what labels alone tell, before any image is made or read.

    Args:
        scores: by name.
        data: real images.
        labels: the classes that generated images are asked for.
        n: generated images.
        n_real: real images, at most.
        split: where they are from.

    Raises:
        ConfigError: a score looks at classes, and the game has none, or too few images of one.
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
    """Refuses scores that look at the classes asked for, in a game without classes."""
    for name, score in scores.items():
        if score.needs_labels and num_classes == 0:
            known(name, None)


def known(name: str, labels: Tensor | None) -> Tensor:
    """Returns the classes asked for; refuses a game without."""
    if labels is None:
        raise ConfigError(
            f"metrics={name} compares with the classes asked for, and this model makes images "
            "without classes. Leave it out of metrics=[...], or take model=cgan"
        )
    return labels
