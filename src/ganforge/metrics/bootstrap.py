from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from ganforge.metrics.evaluate import EvaluationSettings, Result, start, update_real
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import BLOCK, RealFeatures
from ganforge.metrics.rows import FakeRows, generator
from ganforge.metrics.scores.score import PathScore, Score
from ganforge.streams import Stream, mix

log = logging.getLogger("ganforge")

LEAST = 20  # resamples: with fewer, the 95 % interval is just the range of the resamples
LEVEL = 0.95
LONG = 30.0  # seconds above which the remaining time is logged


@torch.no_grad()
def add_intervals(
    results: dict[str, Result],
    fakes: FakeRows,
    reals: RealFeatures,
    scores: dict[str, Score],
    settings: EvaluationSettings,
    resamples: int,
) -> None:
    """Adds a 95 % bootstrap interval to every result. Efron 1979, Annals of Statistics 7.

    The features of the generated images are resampled with replacement; in a model with classes,
    within each requested class. Real images and generator stay fixed: the interval reflects the
    variance of sampling, not of retraining.

    Path scores have no interval, as they are not computed from these images. A resample costs as
    much as computing the scores from features, which takes seconds for a Frechet distance of 2,048
    features. After the first resample, the time for the remaining ones is logged if it is long.

    Args:
        results: by published name, as returned by :func:`ganforge.metrics.evaluate.evaluate`.
        fakes: features of the generated images, stored by the same call.
        reals: features of the real images.
        scores: by name.
        settings: those of the same call; the seed is also that of the resamples.
        resamples: number of resamples.
    """
    scores = {name: one for name, one in scores.items() if not isinstance(one, PathScore)}
    values: dict[str, list[float]] = {name: [] for name in scores}
    began = time.perf_counter()
    for number, rows in enumerate(draws(fakes.n, fakes.labels, resamples, settings.seed)):
        updated = start(scores, reals, settings)
        for score in updated.values():
            _update(score, reals.extractor, fakes, rows)
        update_real(updated, reals, settings)
        for name, score in scores.items():
            values[name].append(score.compute(settings.seed).value)
        for score in scores.values():
            score.release()
        seconds = (resamples - 1) * (time.perf_counter() - began)
        if number == 0 and seconds > LONG:
            log.info("bootstrap: %d more resamples: %.1f min", resamples - 1, seconds / 60)
    for name, score in scores.items():
        result = results[score.published(name, reals.extractor)]
        low, high = interval(result.value, torch.tensor(values[name], dtype=torch.float64))
        if math.isfinite(low) and math.isfinite(high):
            result.low, result.high, result.bootstrap = low, high, resamples


def draws(n: int, labels: Tensor | None, resamples: int, seed: int) -> Iterator[Tensor]:
    """Yields the image indices of each resample, int64 [n] in 0 ... n - 1.

    Args:
        n: number of images.
        labels: class of each image, int64 [n]; images are resampled within their class. None
            resamples among all images.
        resamples: number of resamples.
        seed: seed; the first resamples do not depend on how many there are.
    """
    classes = torch.zeros(n, dtype=torch.int64) if labels is None else labels
    members = [(classes == label).nonzero().flatten() for label in sorted(set(classes.tolist()))]
    for number in range(resamples):
        random = generator(mix(mix(seed, Stream.BOOTSTRAP), number))
        rows = torch.empty(n, dtype=torch.int64)
        for indices in members:
            drawn = torch.randint(len(indices), (len(indices),), generator=random)
            rows[indices] = indices[drawn]
        yield rows


def interval(value: float, resampled: Tensor) -> tuple[float, float]:
    """Returns the 95 % interval around a value: percentiles of the resamples' deviations.

    Deviations are taken from the mean of the resamples. Resamples contain duplicates, which bias
    distances upwards as fewer images do; for the FID of few images this bias far exceeds the
    spread. The plain percentiles of the resamples may therefore not contain the value.

    Args:
        value: the score of all images.
        resampled: the score of each resample, float64 [r].
    """
    tails = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = torch.quantile(resampled - resampled.mean(), tails).tolist()
    return value + low, value + high


def _update(score: Score, shared: FeatureExtractor, fakes: FakeRows, rows: Tensor) -> None:
    """Updates a score with resampled generated images, in blocks of ``BLOCK`` rows."""
    for part in torch.split(rows, BLOCK):
        values = fakes.rows(score.extractor or shared, score.uses, part)
        if "labels" not in score.needs:
            score.update(values, real=False)
            continue
        assert fakes.labels is not None, "such scores are refused for a model without classes"
        score.compare(values, fakes.labels[part])
