"""Frechet distance between images and reference statistics: FILE.npz with ``mu`` and ``sigma``."""

from __future__ import annotations

import torch
from omegaconf import DictConfig

from ganforge.commands.scoring import make_extractor
from ganforge.data.files.external import common_size, open_images
from ganforge.data.translation.domain import Domain
from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import Result
from ganforge.metrics.real_features import RealFeatures, RealShare
from ganforge.metrics.reference_statistics import Statistics, check_width, read_statistics
from ganforge.metrics.scores.frechet import FrechetDistance, frechet_distance
from ganforge.metrics.scores.score import Score
from ganforge.paths import typed_path

TOGETHER = 256


def given_statistics(cfg: DictConfig) -> dict[str, Statistics]:
    """Returns the statistics given as fake= or real=, by key; empty if both are images."""
    read = {key: read_statistics(typed_path(cfg[key])) for key in ("fake", "real")}
    return {key: one for key, one in read.items() if one is not None}


def score_statistics(
    cfg: DictConfig,
    given: dict[str, Statistics],
    scores: dict[str, Score],
    device: torch.device,
) -> dict[str, Result]:
    """Returns the Frechet distance between images and statistics.

    Args:
        cfg: composed from conf/evaluate.yaml.
        given: result of :func:`given_statistics`.
        scores: scores by name.
        device: device for computing features.

    Raises:
        ConfigError: if a score needs the images themselves, or both sides are statistics.
    """
    ((key, reference),) = _alone(cfg, given, scores).items()
    other = "fake" if key == "real" else "real"
    images = open_images(cfg[other], other)
    size = common_size({other: images}, cfg.image_size)
    data = Domain("given", {"train": images.source(size, 1 if images.grey else 3)})
    extractor = make_extractor(cfg, data, device)
    check_width(reference, key, extractor)
    n = int(cfg.n or data.size())
    if not 2 <= n <= data.size():
        raise ConfigError(f"n={n}: {other}={cfg[other]} holds {data.size()} images")
    reals = RealFeatures(data, extractor, StatisticsCache())
    share = RealShare(reals, extractor, "train", 0, n, cfg.batch_size or TOGETHER)
    seen = share.moments("features")
    value = frechet_distance(
        seen.mean, seen.covariance, reference.mean, reference.covariance
    )  # symmetric
    details = dict(extractor.protocol)
    features, resize = str(details.pop("features")), str(details.pop("resize"))
    details |= {"image_size": size, f"{key}_statistics": reference.digest}
    counts = {"n_real": 0, "n_fake": 0, f"n_{other}": n}  # statistics do not store their count
    return {
        score.published(name, extractor): Result(
            value=float(value),
            std=None,
            features=features,
            n_real=counts["n_real"],
            n_fake=counts["n_fake"],
            split="statistics" if key == "real" else "all",
            resize=resize,
            details=details,
            higher_is_better=False,
        )
        for name, score in scores.items()
    }


def _alone(
    cfg: DictConfig, given: dict[str, Statistics], scores: dict[str, Score]
) -> dict[str, Statistics]:
    """Returns the one set of statistics; refuses options that statistics cannot support."""
    rows = [name for name, score in scores.items() if not isinstance(score, FrechetDistance)]
    key = next(iter(given))
    if rows:
        raise ConfigError(
            f"metrics={rows[0]} needs the images themselves, and {key}={cfg[key]} holds their mean "
            "and covariance alone. Take metrics=[fid]"
        )
    if len(given) > 1 or cfg.real == "data":
        raise ConfigError(
            "statistics (mu and sigma) are compared with images: give one of fake= and real= as a "
            "folder, zip, tar or array of images"
        )
    for name in ("bootstrap", "split"):
        if cfg[name]:
            raise ConfigError(f"{name}={cfg[name]}: needs images on both sides. Leave {name} out")
    return given
