from __future__ import annotations

from collections.abc import Mapping, Sequence

from ganforge.errors import ConfigError
from ganforge.metrics.pairs.direction import TranslationSource, directions_of
from ganforge.metrics.pairs.score import PairScore
from ganforge.metrics.scores.path_score import PathScore, refuse_images
from ganforge.metrics.scores.score import Score

Metrics = Mapping[str, Score | PairScore]


def feature_scores(metrics: Metrics) -> dict[str, Score]:
    """Returns the scores that compare distributions of features."""
    return {name: one for name, one in metrics.items() if isinstance(one, Score)}


def pair_scores(metrics: Metrics) -> dict[str, PairScore]:
    """Returns the scores that compare each image with its target."""
    return {name: one for name, one in metrics.items() if isinstance(one, PairScore)}


def check_metrics(metrics: Metrics, data: TranslationSource, names: Sequence[str]) -> None:
    """Checks that all scores apply to the data and the game, before a run starts.

    Args:
        metrics: by name.
        data: two domains.
        names: the game's directions.

    Raises:
        ConfigError: A score does not apply; the message suggests an alternative.
    """
    for name, score in feature_scores(metrics).items():
        if isinstance(score, PathScore):
            raise refuse_images(name)
        if score.needs_labels:
            raise ConfigError(
                f"metrics={name} compares with the classes asked for, and translations have none. "
                "Leave it out of metrics=[...]"
            )
    for name, pair in pair_scores(metrics).items():
        for direction in directions_of(data, names):
            pair.check(name, direction)
