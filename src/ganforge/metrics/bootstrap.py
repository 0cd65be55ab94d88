from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from ganforge.metrics.evaluate import Result, learn, start
from ganforge.metrics.fake_features import FakeRows
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import BLOCK, RealFeatures
from ganforge.metrics.rows import generator
from ganforge.metrics.scores.path_score import PathScore
from ganforge.metrics.scores.score import Score
from ganforge.streams import Stream, mix

log = logging.getLogger("ganforge")

LEAST = 20  # resamples: the 95 % interval of fewer is that of the extremes
LEVEL = 0.95
LONG = 30.0  # seconds that are worth a line


@torch.no_grad()
def add_intervals(
    results: dict[str, Result],
    kept: FakeRows,
    reals: RealFeatures,
    scores: dict[str, Score],
    resamples: int,
    seed: int,
    batch_size: int,
    split: str,
    n_real: int,
) -> None:
    """Gives every result its 95 % bootstrap interval. Efron 1979, Annals of Statistics 7.

    Resampled, with replacement, are the generated images, by what extractors saw in them; in a
    game with classes within each class that was asked for. The real images stay as they are, and
    so does the generator: the interval is that of the draw of samples, not of training again.

    Scores of paths through a latent space, which are of no images, have none. Every resample costs
    what the scores cost without making or looking at images, which for a Frechet distance of 2,048
    features is seconds: after the first one it is said how long the others will take.

    Args:
        results: by published name, as :func:`ganforge.metrics.evaluate.evaluate` gave them.
        kept: what it kept.
        reals: features of the real images.
        scores: by name.
        resamples: how many.
        seed: decides them, and the scores' random subsets.
        batch_size: real images looked at together, where they have not been kept.
        split: where the real images are from.
        n_real: real images.
    """
    scores = {name: one for name, one in scores.items() if not isinstance(one, PathScore)}
    values: dict[str, list[float]] = {name: [] for name in scores}
    began = time.perf_counter()
    for place, rows in enumerate(draws(kept.n, kept.labels, resamples, seed)):
        taking = start(scores, reals.extractor, n_real, kept.n, seed, 0)
        for score in taking.values():
            _hand(score, reals.extractor, kept, rows)
        learn(taking, reals, split, (0, n_real), batch_size)
        for name, score in scores.items():
            values[name].append(score.compute(seed).value)
        for score in scores.values():
            score.release()
        if place == 0:
            _announce(resamples - 1, time.perf_counter() - began)
    for name, score in scores.items():
        result = results[score.published(name, reals.extractor)]
        low, high = interval(result.value, torch.tensor(values[name], dtype=torch.float64))
        if math.isfinite(low) and math.isfinite(high):
            result.low, result.high, result.bootstrap = low, high, resamples


def draws(n: int, labels: Tensor | None, resamples: int, seed: int) -> Iterator[Tensor]:
    """Yields the images of each resample, int64 [n] in 0 ... n - 1.

    Args:
        n: images.
        labels: class of each, int64 [n]: an image is replaced by one of its class. None in a game
            without classes, where any takes its place.
        resamples: how many.
        seed: decides them; the first of many are those of few.
    """
    classes = torch.zeros(n, dtype=torch.int64) if labels is None else labels
    members = [(classes == label).nonzero().flatten() for label in sorted(set(classes.tolist()))]
    for place in range(resamples):
        random = generator(mix(mix(seed, Stream.BOOTSTRAP), place))
        rows = torch.empty(n, dtype=torch.int64)
        for ours in members:
            rows[ours] = ours[torch.randint(len(ours), (len(ours),), generator=random)]
        yield rows


def interval(value: float, resampled: Tensor) -> tuple[float, float]:
    """Returns the 95 % interval about a value: percentiles of the resamples' deviations.

    Deviations are those from the resamples' own mean. Resamples hold copies, which raises
    distances just as fewer images do (a FID of few images by far more than it spreads): their own
    percentiles may lie beside the value.

    Args:
        value: of all images.
        resampled: of each resample, float64 [r].
    """
    tails = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = torch.quantile(resampled - resampled.mean(), tails).tolist()
    return value + low, value + high


def _announce(resamples: int, seconds_each: float) -> None:
    """Says how long resamples will take, where that is long."""
    if resamples * seconds_each > LONG:
        minutes = resamples * seconds_each / 60
        log.info("bootstrap: %d more resamples will take %.1f minutes", resamples, minutes)


def _hand(score: Score, shared: FeatureExtractor, kept: FakeRows, rows: Tensor) -> None:
    """Hands resampled images to a score, block by block."""
    for part in torch.split(rows, BLOCK):
        values = kept.rows(score.extractor or shared, score.uses, part)
        if not score.needs_labels:
            score.update(values, real=False)
            continue
        assert kept.labels is not None, "such scores are refused in a game without classes"
        score.compare(values, kept.labels[part])
