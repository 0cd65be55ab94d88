from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ganforge.data.images import to_uint8
from ganforge.errors import ConfigError
from ganforge.metrics.features import FeatureExtractor, Features
from ganforge.metrics.finite import FiniteImages
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.score import Score
from ganforge.metrics.source import ImageSource

Sample = Callable[[int, int], Tensor]
Seen = dict[FeatureExtractor, Features]


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
    """

    value: float
    std: float | None
    features: str
    n_real: int
    n_fake: int
    split: str
    resize: str
    details: dict[str, str | int | float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, str | int | float]:
        """Returns everything in one flat dict of plain values, without what is None."""
        flat = asdict(self)
        details = flat.pop("details")
        return {name: value for name, value in (flat | details).items() if value is not None}


class RealFeatures:
    """Features of a data set's real images, computed once and kept in the CPU's memory.

    Args:
        data: where the images come from.
        extractor: what looks at them.
    """

    def __init__(self, data: ImageSource, extractor: FeatureExtractor) -> None:
        self.data = data
        self.extractor = extractor
        self._kept: dict[tuple[FeatureExtractor, str, int, int], Features] = {}

    def get(
        self,
        split: str,
        start: int,
        stop: int,
        batch_size: int,
        extractor: FeatureExtractor | None = None,
    ) -> Features:
        """Returns the features of images start ... stop - 1 of ``split``.

        Args:
            split: where the images are from.
            start: place of the first one.
            stop: place behind the last one.
            batch_size: images looked at together.
            extractor: what looks at them, where it isn't the one that all scores share.
        """
        look = extractor or self.extractor
        key = (look, split, start, stop)
        if key not in self._kept:

            def images(n: int, first: int) -> Tensor:
                return self.data.reals(n, split, first)[0]

            seen = _look(images, [look], start, stop, batch_size)[look]
            self._kept[key] = Features(*(values.cpu() for values in seen))
        return self._kept[key]


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

    Returns:
        Results by name, equal on all processes.

    Raises:
        ConfigError: too few images.
        DivergenceError: the generator makes images that are not finite.
    """
    available = data.size(split)
    n_real = min(n_real or n, available)
    _check_counts(n, n_real, available, split, batch_size, world)
    looks = [extractor] + [one.extractor for one in scores.values() if one.extractor is not None]
    start, stop = share_of(n, rank, world)
    fakes = _generated(sample, list(dict.fromkeys(looks)), start, stop, batch_size, world)
    reals = reals or RealFeatures(data, extractor)
    asked = (labels or RequestedLabels())(stop - start, start)
    share = share_of(n_real, rank, world)
    results = {}
    for name, score in scores.items():
        look = score.extractor or extractor
        values: Tensor = getattr(fakes[look], score.uses)
        score.reset(values.shape[1], n_real, n, values.device)
        if score.needs_real:
            real = reals.get(split, *share, batch_size, score.extractor)
            score.update(getattr(real, score.uses), real=True)
        _compare(name, score, values, asked)
        result = _result(score, look, n_real, n, split, seed)
        result.details |= labels.protocol() if labels else {}
        results[score.published(name, extractor)] = result
    return results


def _compare(name: str, score: Score, values: Tensor, asked: Tensor | None) -> None:
    """Hands generated images to a score, with the classes asked for where it looks at them."""
    if score.needs_labels:
        score.compare(values, _asked(name, asked))
    else:
        score.update(values, real=False)


def check_labels(scores: dict[str, Score], num_classes: int) -> None:
    """Refuses scores that look at the classes asked for, in a game without classes."""
    for name, score in scores.items():
        if score.needs_labels and num_classes == 0:
            _asked(name, None)


def _asked(name: str, labels: Tensor | None) -> Tensor:
    if labels is None:
        raise ConfigError(
            f"metrics={name} compares with the classes asked for, and this model makes images "
            "without classes. Leave it out of metrics=[...], or take model=cgan"
        )
    return labels


def _result(
    score: Score, extractor: FeatureExtractor, n_real: int, n: int, split: str, seed: int
) -> Result:
    value, std = score.compute(seed)
    details = dict(extractor.protocol)
    features, resize = str(details.pop("features")), str(details.pop("resize"))
    details |= score.protocol()
    n_real = n_real if score.needs_real else 0
    return Result(value, std, features, n_real, n, split, resize, details)


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


def share_of(n: int, rank: int, world: int) -> tuple[int, int]:
    """Returns the bounds of a process's part of ``n`` images."""
    # Contiguous, so that values gathered in the order of ranks are in the order of one process.
    return n * rank // world, n * (rank + 1) // world


def _generated(
    sample: Sample,
    extractors: list[FeatureExtractor],
    start: int,
    stop: int,
    batch_size: int,
    world: int,
) -> Seen:
    finite = FiniteImages(extractors[0].device)
    seen = _look(lambda n, first: finite(sample(n, first)), extractors, start, stop, batch_size)
    finite.conclude(world)
    return seen


def _look(
    images: Sample, extractors: list[FeatureExtractor], start: int, stop: int, batch_size: int
) -> Seen:
    """Looks at images start ... stop - 1 through every extractor, having made them once."""
    seen: dict[FeatureExtractor, list[Features]] = {one: [] for one in extractors}
    with torch.autocast(extractors[0].device.type, enabled=False):
        for first in range(start, stop, batch_size):
            batch = images(min(batch_size, stop - first), first)
            for extractor, parts in seen.items():
                shown = batch if extractor.takes_floats else to_uint8(batch)
                parts.append(extractor(shown.to(extractor.device)))
    return {
        extractor: Features(
            torch.cat([one.features for one in parts]), torch.cat([one.logits for one in parts])
        )
        for extractor, parts in seen.items()
    }
