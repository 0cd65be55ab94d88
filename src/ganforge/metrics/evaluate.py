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
    """A score with its protocol: without it, a number is not a result.

    Attributes:
        value: the score.
        std: its standard deviation over subsets, None where there are none.
        features: what the images were looked at through.
        n_real: real images compared with.
        n_fake: generated images.
        split: where the real images are from.
        resize: what was done to images of another size.
        details: settings of the score and of the extractor.
        higher_is_better: which way is up; None where that is not said.
        low: lower end of the 95 % interval; None where none was asked for.
        high: upper end of the interval.
        bootstrap: resamples that the interval is of.
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
        """Returns everything in one flat dict of plain values, without what is None."""
        flat = asdict(self)
        details = flat.pop("details")
        return {name: value for name, value in (flat | details).items() if value is not None}


def points_of(results: dict[str, Result]) -> dict[str, float | Tensor]:
    """Returns what loggers are told: each value, and behind it its deviation as ``..._std``."""
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
    """Scores ``n`` generated images, each process a share of them.

    Args:
        sample: ``sample(count, start)`` returns images start ... start + count - 1 of a fixed
            sequence, float [count, C, H, W] in [-1, 1], of the classes that ``labels`` says.
        data: real images.
        extractor: what looks at the images.
        scores: by name; the extractor's suffix is appended to the results' names.
        n: generated images, over all processes.
        seed: decides the scores' random subsets.
        batch_size: images looked at together.
        rank: index of this process.
        world: number of processes. Above 1, torch.distributed is in use.
        split: where the real images are from.
        n_real: real images; None takes ``n``, or all where there are fewer.
        reals: features of real images that were kept from an earlier call.
        labels: the classes that images are asked for; None in a game without.
        paths: what makes images on paths through a latent space; None where there is none.
        keep: takes what is seen in the generated images, where one process makes them all.

    Returns:
        Results by name, equal on all processes.

    Raises:
        ConfigError: too few images.
        DivergenceError: the generator makes images that are not finite.
        ScoreError: an extractor's features are not finite.
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
    learn(taking, reals, split, share_of(n_real, rank, world), batch_size)
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
    """Resets the scores; returns those that take images, one of each family."""
    leaders: dict[Hashable, tuple[str, Score]] = {}
    for name, score in scores.items():
        extractor = score.extractor or shared
        features = score.uses == "features"
        width = extractor.num_features if features else extractor.num_logits
        score.reset(width, n_real, n, extractor.device, seed, first)
        _, leader = leaders.setdefault(score.family(), (name, score))
        if leader is not score:
            leader.welcome(score)
    return dict(leaders.values())


def learn(
    scores: dict[str, Score],
    reals: RealFeatures,
    split: str,
    bounds: tuple[int, int],
    batch_size: int,
) -> None:
    """Has scores that :func:`start` returned take the real images within ``bounds``."""
    # Those that keep what they see come first: the others can sum up what was kept.
    for score in sorted(scores.values(), key=lambda one: one.streams):
        if score.needs_real:
            share = RealShare(reals, score.extractor or reals.extractor, split, *bounds, batch_size)
            score.learn(share)


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
    """Has this process's generated images made, looked at and taken by scores, block by block."""
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
                keep.ask(asked, first)
    finite.conclude(world)  # first: images that are not finite have such features
    sound.conclude(world)


def _show_paths(scores: dict[str, Score], paths: Paths | None, rank: int, world: int) -> None:
    """Has this process's share of paths through the latent space made, and measured by scores."""
    for name, score in scores.items():
        if isinstance(score, PathScore):
            if paths is None:
                raise refuse_images(name)
            score.travel(paths, rank, world)


def _compare(name: str, score: Score, values: Tensor, asked: Tensor | None) -> None:
    """Hands generated images to a score, with the classes asked for where it looks at them."""
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
    """Refuses fewer images than a score needs, such as fewer than neighbours."""
    for name, score in scores.items():
        if n < score.least or (score.needs_real and n_real < score.least):
            raise ConfigError(
                f"metrics={name} needs at least {score.least} real and {score.least} generated "
                f"images, got {n_real} and {n}; raise their numbers, or leave it out of "
                "metrics=[...]"
            )


def share_of(n: int, rank: int, world: int) -> tuple[int, int]:
    """Returns the bounds of a process's part of ``n`` images."""
    # Contiguous, so that values gathered in the order of ranks are in the order of one process.
    return n * rank // world, n * (rank + 1) // world
