from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.class_checks import check_classes, known
from ganforge.metrics.fake_features import FakeRows
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.finite import FiniteFeatures, FiniteImages
from ganforge.metrics.real_features import RealFeatures, RealShare, Sample, look
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.scores.path_score import Paths, PathScore, refuse_images
from ganforge.metrics.scores.score import Score
from ganforge.metrics.source import ImageSource


@dataclass
class Result:
    """A score and the protocol it was computed with; values compare only under equal protocols.

    Attributes:
        value: the score.
        std: standard deviation over subsets; None if the score uses no subsets.
        features: name of the features.
        n_real: number of real images, 0 if the score uses none.
        n_fake: number of generated images.
        split: split of the real images.
        resize: how images are resized for the extractor.
        details: settings of the score and of the extractor.
        higher_is_better: whether higher values are better; None if unknown.
        low: lower end of the 95 % interval; None without a bootstrap.
        high: upper end of the interval.
        bootstrap: number of resamples behind the interval.
    """

    value: float
    std: float | None
    features: str
    n_real: int
    n_fake: int
    split: str
    resize: str
    details: dict[str, str | int | float] = field(default_factory=dict)
    higher_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    bootstrap: int | None = None

    def to_dict(self) -> dict[str, str | int | float]:
        """Returns all fields and details as one flat dict of plain values, without None values."""
        flat = asdict(self)
        details = flat.pop("details")
        return {name: value for name, value in (flat | details).items() if value is not None}


def points_of(results: dict[str, Result]) -> dict[str, float | Tensor]:
    """Returns the values to log: each score, followed by its standard deviation as ``..._std``."""
    points: dict[str, float | Tensor] = {}
    for name, result in results.items():
        points[name] = result.value
        if result.std is not None:
            points[f"{name}_std"] = result.std
    return points


@torch.no_grad()
def evaluate(
    sample: Sample,
    data: ImageSource,
    extractor: FeatureExtractor,
    scores: dict[str, Score],
    n: int,
    seed: int,
    batch_size: int,
    rank: int = 0,
    world: int = 1,
    split: str = "train",
    n_real: int | None = None,
    reals: RealFeatures | None = None,
    labels: RequestedLabels | None = None,
    paths: Paths | None = None,
    keep: FakeRows | None = None,
) -> dict[str, Result]:
    """Scores ``n`` generated images; each process generates and processes its share of them.

    Args:
        sample: ``sample(count, start)`` returns images start ... start + count - 1 of a fixed
            sequence, float [count, C, H, W] in [-1, 1], with the classes given by ``labels``.
        data: real images.
        extractor: the shared feature extractor.
        scores: by name; the extractor's suffix is appended to the results' names.
        n: number of generated images, over all processes.
        seed: seed of the scores' random subsets.
        batch_size: images per batch.
        rank: index of this process.
        world: number of processes. Above 1, torch.distributed is in use.
        split: split of the real images.
        n_real: number of real images; None uses ``n``, or all if there are fewer.
        reals: features of real images, reused from an earlier call.
        labels: requested classes of the generated images; None for a game without classes.
        paths: generates images on paths through a latent space; None if there is no latent space.
        keep: stores the features of the generated images; requires a single process.

    Returns:
        Results by name, equal on all processes.

    Raises:
        ConfigError: There are too few images.
        DivergenceError: The generator produces images that are not finite.
        ScoreError: An extractor's features are not finite.
    """
    available = data.size(split)
    n_real = min(n_real or n, available)
    _check_counts(n, n_real, available, split, batch_size, world)
    check_enough(scores, n, n_real)
    asked = labels or RequestedLabels()
    check_classes(scores, data, asked, n, n_real, split)
    first, stop = share_of(n, rank, world)
    taking = start(scores, extractor, n_real, n, seed, first)
    _show_fakes(taking, sample, extractor, asked, first, stop, batch_size, world, keep)
    _show_paths(taking, paths, rank, world)
    reals = reals or RealFeatures(data, extractor)
    update_real(taking, reals, split, share_of(n_real, rank, world), batch_size)
    results = {}
    for name, score in scores.items():
        result = _result(score, score.extractor or extractor, n_real, n, split, seed)
        result.details |= labels.protocol() if labels else {}
        results[score.published(name, extractor)] = result
    for score in scores.values():
        score.release()
    return results


def start(
    scores: dict[str, Score],
    shared: FeatureExtractor,
    n_real: int,
    n: int,
    seed: int,
    first: int,
) -> dict[str, Score]:
    """Resets all scores and returns those to update: one per family, which share its metric."""
    leaders: dict[Hashable, tuple[str, Score]] = {}
    for name, score in scores.items():
        extractor = score.extractor or shared
        features = score.uses == "features"
        width = extractor.num_features if features else extractor.num_logits
        score.reset(width, n_real, n, extractor.device, seed, first)
        _, leader = leaders.setdefault(score.family(), (name, score))
        if leader is not score:
            leader.share_metric(score)
    return dict(leaders.values())


def update_real(
    scores: dict[str, Score],
    reals: RealFeatures,
    split: str,
    bounds: tuple[int, int],
    batch_size: int,
) -> None:
    """Updates the scores returned by :func:`start` with the real images within ``bounds``."""
    # Scores that need all rows go first: streaming scores then compute moments from the kept rows.
    for score in sorted(scores.values(), key=lambda one: one.streams):
        if score.needs_real:
            share = RealShare(reals, score.extractor or reals.extractor, split, *bounds, batch_size)
            score.update_real(share)


def _show_fakes(
    scores: dict[str, Score],
    sample: Sample,
    shared: FeatureExtractor,
    labels: RequestedLabels,
    start: int,
    stop: int,
    batch_size: int,
    world: int,
    keep: FakeRows | None,
) -> None:
    """Generates this process's images and updates the scores with their features, by block."""
    looks = [shared] + [one.extractor for one in scores.values() if one.extractor is not None]
    finite = FiniteImages(shared.device, bounded=not any(one.takes_floats for one in looks))

    distinct = list(dict.fromkeys(looks))
    sound = FiniteFeatures("generated", distinct, shared.device)

    def images(n: int, first: int) -> Tensor:
        return finite(sample(n, first))

    for first, found in look(images, distinct, start, stop, batch_size):
        seen = {extractor: sound(extractor, parts) for extractor, parts in found.items()}
        for name, score in scores.items():
            values: Tensor = getattr(seen[score.extractor or shared], score.uses)
            asked = labels(len(values), first)
            _compare(name, score, values, asked)
            if keep is not None:
                keep.keep(score.extractor or shared, score.uses, values, first)
                keep.request_labels(asked, first)
    finite.conclude(world)  # first: images that are not finite cause features that are not finite
    sound.conclude(world)


def _show_paths(scores: dict[str, Score], paths: Paths | None, rank: int, world: int) -> None:
    """Updates path scores with this process's share of the paths through the latent space."""
    for name, score in scores.items():
        if isinstance(score, PathScore):
            if paths is None:
                raise refuse_images(name)
            score.update_paths(paths, rank, world)


def _compare(name: str, score: Score, values: Tensor, asked: Tensor | None) -> None:
    """Updates a score with generated images, and with the requested classes if it needs them."""
    if score.needs_labels:
        score.compare(values, known(name, asked))
    else:
        score.update(values, real=False)


def _result(
    score: Score, extractor: FeatureExtractor, n_real: int, n: int, split: str, seed: int
) -> Result:
    value, std = score.compute(seed)
    details = dict(extractor.protocol)
    features, resize = str(details.pop("features")), str(details.pop("resize"))
    details |= score.protocol()
    n_real = n_real if score.needs_real else 0
    up = score.higher_is_better
    return Result(value, std, features, n_real, n, split, resize, details, up)


def _check_counts(
    n: int, n_real: int, available: int, split: str, batch_size: int, world: int
) -> None:
    if batch_size < 1:
        raise ConfigError(f"evaluation: batch_size must be at least 1, got {batch_size}")
    if n < max(2, world):
        raise ConfigError(
            f"evaluation: n must be at least 2 and one for each of {world} processes, got {n}"
        )
    if n_real < max(2, world):
        raise ConfigError(
            f"evaluation: scores need at least {max(2, world)} real images, split {split!r} gives "
            f"{n_real} of {available}"
        )


def check_enough(scores: dict[str, Score], n: int, n_real: int) -> None:
    """Raises ConfigError if a score needs more images, such as k + 1 for k neighbours."""
    for name, score in scores.items():
        if n < score.least or (score.needs_real and n_real < score.least):
            raise ConfigError(
                f"metrics={name} needs at least {score.least} real and {score.least} generated "
                f"images, got {n_real} and {n}; raise their numbers, or leave it out of "
                "metrics=[...]"
            )


def share_of(n: int, rank: int, world: int) -> tuple[int, int]:
    """Returns the bounds (start, stop) of a process's share of ``n`` images."""
    # Contiguous, so that values gathered by rank are in the same order as with a single process.
    return n * rank // world, n * (rank + 1) // world
