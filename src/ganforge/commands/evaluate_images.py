from __future__ import annotations

from dataclasses import dataclass

import torch

from ganforge.callbacks.scoring import SampleScoring
from ganforge.commands.scoring import make_extractor, prepared, settings_of
from ganforge.config.command import Command
from ganforge.config.requests import EvaluateRequest
from ganforge.data.files.external import ExternalImages, common_size, open_images, share_span
from ganforge.data.files.value_range import Span
from ganforge.data.module import ImageDataModule
from ganforge.data.reals import Domain
from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import GeneratedImages, Result
from ganforge.metrics.features.points import mixture_of
from ganforge.metrics.pairs.held_out import Share
from ganforge.metrics.pairs.score import pair_scores
from ganforge.metrics.real_features import RealFeatures, RealShare
from ganforge.metrics.reference_statistics import Statistics, check_width, read_statistics
from ganforge.metrics.scores.frechet import FrechetDistance, frechet_distance
from ganforge.metrics.scores.score import PathScore, Score
from ganforge.metrics.source import ImageSource
from ganforge.paths import typed_path
from ganforge.runs.load import build

RUN_OPTIONS = ("run", "checkpoint", "weights", "truncation", "labels")  # options of runs only
NAMED = "data"  # value of real= that refers to data=NAME
BATCH_SIZE = 256


@dataclass(frozen=True)
class ImageSets:
    """External images and their reference images, of the same size and number of channels.

    Attributes:
        fake: the images to evaluate.
        real: the reference images.
        split: split of the reference images.
        published: name of that split in the results.
        n: number of generated images to use.
        n_real: maximum number of reference images.
        details: preprocessing that was applied before feature extraction.
    """

    fake: ImageSource
    real: ImageSource
    split: str
    published: str
    n: int
    n_real: int
    details: dict[str, str | int | float]


def takes_images(request: EvaluateRequest) -> bool:
    """Returns whether to evaluate external images instead of a run.

    Raises:
        ConfigError: if only one of fake= and real= is given, or options of runs are mixed in.
    """
    if request.fake is None and request.real is None:
        if request.image_size:
            raise ConfigError(
                "image_size=... is for external images: fake=IMAGES real=data data=NAME. "
                "A run is compared with the data that it was trained on"
            )
        return False
    if request.fake is None or request.real is None:
        missing = "fake" if request.fake is None else "real"
        raise ConfigError(
            f"{missing}=... is missing: fake=IMAGES real=IMAGES compares external images, each a "
            "folder, zip, tar or FILE.npz; real=data data=NAME uses a named data set"
        )
    typed = Command.of(request).values
    for name in RUN_OPTIONS:
        if name in typed:
            raise ConfigError(
                f"{name}={typed[name]}: applies to a run, but fake=... is for external images. "
                "Leave one of them out"
            )
    if (request.real == NAMED) != bool(request.data):
        raise ConfigError("real=data needs data=NAME and vice versa; a folder named data is ./data")
    return True


def score_images(request: EvaluateRequest, device: torch.device) -> dict[str, Result]:
    """Returns the scores of images that were generated outside ganforge."""
    scores = {name: build(node) for name, node in request.metrics.items()}
    _check_scores(scores)
    if statistics := read_given(request):
        return score_statistics(request, statistics, scores, device)
    sets = _against_data(request) if request.real == NAMED else _against_images(request)
    settings = settings_of(request, sets.n, sets.n_real, sets.split)
    scoring = SampleScoring(scores, sets.real, settings)
    prepared(scoring, request, device)

    def sample(n: int, start: int) -> torch.Tensor:
        return sets.fake.reals(n, "train", start)[0]

    results = scoring.score(GeneratedImages(sample), Share(device))
    for result in results.values():
        result.split = sets.published
        result.details |= sets.details
    return results


def _against_images(request: EvaluateRequest) -> ImageSets:
    """Opens two sets of images, both given by path."""
    if request.split is not None:
        raise ConfigError(f"split={request.split}: real=... has no splits. Leave split out")
    sets = {key: open_images(getattr(request, key), key) for key in ("fake", "real")}
    size = common_size(sets, request.image_size)
    channels = 1 if all(images.grey for images in sets.values()) else 3
    span = share_span(sets)
    fake, real = (_domain(images, size, channels) for images in sets.values())
    n = _count(request, "n", "fake", fake.size())
    n_real = _count(request, "n_real" if request.n_real else "n", "real", real.size())
    return ImageSets(fake, real, "train", "all", n, n_real, _treatment(sets, size, span))


def _against_data(request: EvaluateRequest) -> ImageSets:
    """Opens images given by path, and a named data set as reference."""
    data = build(request.data)
    if not isinstance(data, ImageDataModule) or mixture_of(data) is not None:
        raise ConfigError(
            f"real=data needs a data set of images, but data={request.data.get('name')} has 2D "
            "points or pairs of images"
        )
    external = {"fake": open_images(str(request.fake), "fake")}
    size = common_size(external, request.image_size)
    if size != data.image_size:
        raise ConfigError(
            f"fake={request.fake} has images of {size}x{size}, but data={data.name} has "
            f"{data.image_size}x{data.image_size}: data.image_size={size} loads the real images at "
            f"that size, image_size={data.image_size} resizes the fake ones"
        )
    data.prepare_data()
    data.setup()
    span = share_span(external, data.set_span())
    fake = _domain(external["fake"], size, data.channels)
    split, n = request.split or "train", _count(request, "n", "fake", fake.size())
    return ImageSets(
        fake, data, split, split, n, request.n_real or n, _treatment(external, size, span)
    )


def _domain(images: ExternalImages, size: int, channels: int) -> Domain:
    return Domain("given", {"train": images.source(size, channels)})


def _count(request: EvaluateRequest, key: str, name: str, available: int) -> int:
    """Returns the number of images of a set to use: ``getattr(request, key)``, or all of them."""
    if (count := getattr(request, key)) is not None and count > available:
        raise ConfigError(
            f"{key}={count}: {name}={getattr(request, name)} has {available} images. Leave {key} "
            "out to use all"
        )
    return int(count or available)


def _treatment(
    sets: dict[str, ExternalImages], size: int, span: Span | None
) -> dict[str, str | int | float]:
    """Returns the preprocessing applied before feature extraction, as part of the protocol."""
    changed = [key for key, images in sets.items() if images.sizes != {(size, size)}]
    resized = {"resized": f"{' and '.join(changed)}: central square, lanczos"} if changed else {}
    scaled = {} if span is None else {"range": str(span)}
    return {"image_size": size, **resized, **scaled}


def _check_scores(scores: dict[str, Score]) -> None:
    """Refuses scores that need more than images: pairs, labels or a generator."""
    pairs = pair_scores(scores)
    for name, score in scores.items():
        reason = ""
        if name in pairs:
            reason = "compares each translation with its target, but these images have no targets"
        elif "labels" in score.needs:
            reason = "compares with requested classes, but external images have none"
        elif isinstance(score, PathScore):
            reason = "needs the latent space of a generator, but there are only images"
        if reason:
            raise ConfigError(f"metrics={name} {reason}. Leave it out of metrics=[...]")


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
