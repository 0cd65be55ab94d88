"""Frechet distance between images and reference statistics: FILE.npz with ``mu`` and ``sigma``."""

from __future__ import annotations

import torch

from ganforge.commands.scoring import make_extractor
from ganforge.config.requests import EvaluateRequest
from ganforge.data.files.external import common_size, open_images
from ganforge.data.reals import Domain
from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import Result
from ganforge.metrics.real_features import RealFeatures, RealShare
from ganforge.metrics.reference_statistics import Statistics, check_width, read_statistics
from ganforge.metrics.scores.frechet import FrechetDistance, frechet_distance
from ganforge.metrics.scores.score import Score
from ganforge.paths import typed_path

BATCH_SIZE = 256


def read_given(request: EvaluateRequest) -> dict[str, Statistics]:
    """Returns the statistics given as fake= or real=, by key; empty if both are images."""
    read = {key: read_statistics(typed_path(getattr(request, key))) for key in ("fake", "real")}
    return {key: one for key, one in read.items() if one is not None}


def score_statistics(
    request: EvaluateRequest,
    given: dict[str, Statistics],
    scores: dict[str, Score],
    device: torch.device,
) -> dict[str, Result]:
    """Returns the Frechet distance between images and statistics.

    Raises:
        ConfigError: if a score needs the images themselves, or both sides are statistics.
    """
    key, reference = _single(request, given, scores)
    other = "fake" if key == "real" else "real"
    images = open_images(getattr(request, other), other)
    size = common_size({other: images}, request.image_size)
    data = Domain("given", {"train": images.source(size, 1 if images.grey else 3)})
    extractor = make_extractor(request, data, device)
    check_width(reference, key, extractor)
    n = int(request.n or data.size())
    if not 2 <= n <= data.size():
        raise ConfigError(f"n={n}: {other}={getattr(request, other)} has {data.size()} images")
    reals = RealFeatures(data, extractor, StatisticsCache())
    share = RealShare(reals, extractor, "train", 0, n, request.batch_size or BATCH_SIZE)
    own = share.moments("features")
    # The distance is symmetric.
    value = frechet_distance(own.mean, own.covariance, reference.mean, reference.covariance)
    details = dict(extractor.protocol)
    features, resize = str(details.pop("features")), str(details.pop("resize"))
    details |= {"image_size": size, f"{key}_statistics": reference.digest}
    return {
        score.published(name, extractor): Result(
            value=float(value),
            std=None,
            features=features,
            n_real=n if key == "fake" else 0,  # statistics do not store their count
            n_fake=n if key == "real" else 0,
            split="statistics" if key == "real" else "all",
            resize=resize,
            details=details,
            higher_is_better=False,
        )
        for name, score in scores.items()
    }


def _single(
    request: EvaluateRequest, given: dict[str, Statistics], scores: dict[str, Score]
) -> tuple[str, Statistics]:
    """Returns the set of statistics and its key; refuses options that statistics do not support."""
    rows = [name for name, score in scores.items() if not isinstance(score, FrechetDistance)]
    key, statistics = next(iter(given.items()))
    if rows:
        raise ConfigError(
            f"metrics={rows[0]} needs images, but {key}={getattr(request, key)} has only their "
            "mean and covariance. Use metrics=[fid]"
        )
    if len(given) > 1 or request.real == "data":
        raise ConfigError(
            "statistics (mu and sigma) are compared with images: one of fake= and real= must be a "
            "folder, zip, tar or array of images"
        )
    for name in ("bootstrap", "split"):
        if value := getattr(request, name):
            raise ConfigError(f"{name}={value}: needs images on both sides. Leave {name} out")
    return key, statistics
