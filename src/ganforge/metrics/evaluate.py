from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.full_precision import full_precision
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.finite import FiniteFeatures, FiniteImages
from ganforge.metrics.real_features import RealFeatures, RealShare, Sample, compute_features
from ganforge.metrics.requested_labels import RequestedLabels, check_classes, known
from ganforge.metrics.rows import FakeRows
from ganforge.metrics.scores.score import Paths, PathScore, Score, refuse_images
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


@dataclass(frozen=True)
class EvaluationSettings:
    """Numbers of images, and the share of this process.

    Attributes:
        n: number of generated images, over all processes.
        seed: seed of the scores' random subsets.
        batch_size: images per batch.
        split: split of the real images.
        n_real: number of real images; None uses ``n``, or all if there are fewer.
        rank: index of this process.
        world: number of processes. Above 1, torch.distributed is in use.
    """

    n: int
    seed: int
    batch_size: int
    split: str = "train"
    n_real: int | None = None
    rank: int = 0
    world: int = 1

    def count_real(self, data: ImageSource) -> int:
        """Returns the number of real images to use, over all processes."""
        return min(self.n_real or self.n, data.size(self.split))

    def share(self, count: int) -> tuple[int, int]:
        """Returns the bounds (start, stop) of this process's share of ``count`` images."""
        return share_of(count, self.rank, self.world)


@dataclass(frozen=True)
class GeneratedImages:
    """The images to score.

    Attributes:
        sample: ``sample(count, start)`` returns images start ... start + count - 1 of a fixed
            sequence, float [count, C, H, W] in [-1, 1], with the classes given by ``labels``.
        labels: requested classes of the images; None for an unconditional model.
        paths: generates images on paths through a latent space; None if there is no latent space.
    """

    sample: Sample
    labels: RequestedLabels | None = None
    paths: Paths | None = None


@torch.no_grad()
def evaluate(
    images: GeneratedImages,
    reals: RealFeatures,
    scores: dict[str, Score],
    settings: EvaluationSettings,
    keep: FakeRows | None = None,
) -> dict[str, Result]:
    """Scores generated images; each process generates and processes its share of them.

    Args:
        images: the generated images.
        reals: features of the real images, with the shared feature extractor.
        scores: by name; the extractor's suffix is appended to the results' names.
        settings: numbers of images and processes.
        keep: stores the features of the generated images; requires a single process.

    Returns:
        Results by name, equal on all processes.

    Raises:
        ConfigError: There are too few images.
        DivergenceError: The generator produces images that are not finite.
        ScoreError: An extractor's features are not finite.
    """
    n, n_real, split = settings.n, settings.count_real(reals.data), settings.split
    _check_counts(settings, n_real, reals.data.size(split))
    check_enough(scores, n, n_real)
    labels = images.labels or RequestedLabels()
    check_classes(scores, reals.data, labels, n, n_real, split)
    updated = start(scores, reals, settings)
    _add_fakes(updated, images.sample, reals.extractor, labels, settings, keep)
    with full_precision(reals.extractor.device):
        _add_paths(updated, images.paths, settings)
    update_real(updated, reals, settings)
    results = {}
    for name, score in scores.items():
        result = _result(score, reals, settings)
        result.details |= labels.protocol()
        results[score.published(name, reals.extractor)] = result
    for score in scores.values():
        score.release()
    return results


def start(
    scores: dict[str, Score], reals: RealFeatures, settings: EvaluationSettings
) -> dict[str, Score]:
    """Resets all scores and returns those to update: one per family, which share its metric."""
    n, n_real = settings.n, settings.count_real(reals.data)
    first, _ = settings.share(n)
    leaders: dict[Hashable, tuple[str, Score]] = {}
    for name, score in scores.items():
        extractor = score.extractor or reals.extractor
        features = score.uses == "features"
        width = extractor.num_features if features else extractor.num_logits
        score.reset(width, n_real, n, extractor.device, settings.seed, first)
        _, leader = leaders.setdefault(score.family(), (name, score))
        if leader is not score:
            leader.share_metric(score)
    return dict(leaders.values())


def update_real(
    scores: dict[str, Score], reals: RealFeatures, settings: EvaluationSettings
) -> None:
    """Updates the scores returned by :func:`start` with this process's share of the real images."""
    bounds = settings.share(settings.count_real(reals.data))
    # Scores that need all rows go first: streaming scores then compute moments from the kept rows.
    for score in sorted(scores.values(), key=lambda one: one.streams):
        if score.needs_real:
            extractor = score.extractor or reals.extractor
            share = RealShare(reals, extractor, settings.split, *bounds, settings.batch_size)
            score.update_real(share)


def _add_fakes(
    scores: dict[str, Score],
    sample: Sample,
    shared: FeatureExtractor,
    labels: RequestedLabels,
    settings: EvaluationSettings,
    keep: FakeRows | None,
) -> None:
    """Generates this process's images and updates the scores with their features, by block."""
    extractors = list(dict.fromkeys([shared, *(s.extractor or shared for s in scores.values())]))
    finite = FiniteImages(shared.device, bounded=not any(one.takes_floats for one in extractors))
    finite_features = FiniteFeatures("generated", extractors, shared.device)
    bounds = settings.share(settings.n)

    def images(n: int, first: int) -> Tensor:
        return finite(sample(n, first))

    for first, block in compute_features(images, extractors, *bounds, settings.batch_size):
        outputs = {extractor: finite_features(extractor, block[extractor]) for extractor in block}
        for name, score in scores.items():
            extractor = score.extractor or shared
            rows: Tensor = getattr(outputs[extractor], score.uses)
            requested = labels(len(rows), first)
            if "labels" in score.needs:
                score.compare(rows, known(name, requested))
            else:
                score.update(rows, real=False)
            if keep is not None:
                keep.keep(extractor, score.uses, rows, first)
                keep.request_labels(requested, first)
    # Images first: images that are not finite cause features that are not finite.
    finite.conclude(settings.world)
    finite_features.conclude(settings.world)


def _add_paths(scores: dict[str, Score], paths: Paths | None, settings: EvaluationSettings) -> None:
    """Updates path scores with this process's share of the paths through the latent space."""
    for name, score in scores.items():
        if isinstance(score, PathScore):
            if paths is None:
                raise refuse_images(name)
            score.update_paths(paths, settings.rank, settings.world)


def _result(score: Score, reals: RealFeatures, settings: EvaluationSettings) -> Result:
    value, std = score.compute(settings.seed)
    details = dict((score.extractor or reals.extractor).protocol)
    features, resize = str(details.pop("features")), str(details.pop("resize"))
    details |= score.protocol()
    n_real = settings.count_real(reals.data) if score.needs_real else 0
    n, split, up = settings.n, settings.split, score.higher_is_better
    return Result(value, std, features, n_real, n, split, resize, details, up)


def _check_counts(settings: EvaluationSettings, n_real: int, available: int) -> None:
    n, world = settings.n, settings.world
    if settings.batch_size < 1:
        raise ConfigError(f"evaluation: batch_size must be at least 1, got {settings.batch_size}")
    if n < max(2, world):
        raise ConfigError(
            f"evaluation: n must be at least 2 and one for each of {world} processes, got {n}"
        )
    if n_real < max(2, world):
        raise ConfigError(
            f"evaluation: scores need at least {max(2, world)} real images, and split "
            f"{settings.split!r} gives {n_real} of {available}"
        )


def check_enough(scores: dict[str, Score], n: int, n_real: int) -> None:
    """Raises ConfigError if a score needs more images, such as k + 1 for k neighbors."""
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
