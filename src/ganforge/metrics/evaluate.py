from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ganforge.data.images import to_uint8
from ganforge.errors import ConfigError, DivergenceError
from ganforge.metrics.features import FeatureExtractor, Features
from ganforge.metrics.score import Score
from ganforge.metrics.source import ImageSource

Sample = Callable[[int, int], Tensor]


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
        self._kept: dict[tuple[str, int, int], Features] = {}

    def get(self, split: str, start: int, stop: int, batch_size: int) -> Features:
        """Returns the features of images start ... stop - 1 of ``split``."""
        key = (split, start, stop)
        if key not in self._kept:

            def images(n: int, first: int) -> Tensor:
                return self.data.reals(n, split, first)[0]

            seen = _look(images, self.extractor, start, stop, batch_size)
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
) -> dict[str, Result]:
    """Scores ``n`` generated images, each process a share of them.

    Args:
        sample: ``sample(count, start)`` returns images start ... start + count - 1 of a fixed
            sequence, float [count, C, H, W] in [-1, 1].
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

    Returns:
        Results by name, equal on all processes.

    Raises:
        ConfigError: too few images.
        DivergenceError: the generator makes images that are not finite.
    """
    available = data.size(split)
    n_real = min(n_real or n, available)
    _check_counts(n, n_real, available, split, batch_size, world)
    fake = _generated(sample, extractor, *_share(n, rank, world), batch_size, world)
    reals = reals or RealFeatures(data, extractor)
    results = {}
    for name, score in scores.items():
        values: Tensor = getattr(fake, score.uses)
        score.reset(values.shape[1], n_real, n, values.device)
        if score.needs_real:
            real = reals.get(split, *_share(n_real, rank, world), batch_size)
            score.update(getattr(real, score.uses), real=True)
        score.update(values, real=False)
        results[name + extractor.suffix] = _result(score, extractor, n_real, n, split, seed)
    return results


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


def _share(n: int, rank: int, world: int) -> tuple[int, int]:
    # Contiguous, so that values gathered in the order of ranks are in the order of one process.
    return n * rank // world, n * (rank + 1) // world


def _generated(
    sample: Sample, extractor: FeatureExtractor, start: int, stop: int, batch_size: int, world: int
) -> Features:
    faulty = torch.zeros((), dtype=torch.int64, device=extractor.device)

    def images(n: int, first: int) -> Tensor:
        made = sample(n, first).to(extractor.device)
        finite = made.isfinite().flatten(1).all(1)
        faulty.add_((~finite).sum())
        return to_uint8(made.float().nan_to_num())

    seen = _look(images, extractor, start, stop, batch_size)
    # Counted to the end, then over all processes: one that stopped alone would hang the rest.
    if world > 1 and torch.distributed.is_initialized():
        torch.distributed.all_reduce(faulty)
    if faulty > 0:
        raise DivergenceError(
            f"{int(faulty)} generated images hold NaN or infinite values and can't be scored: "
            "training has diverged; try a lower learning rate or another precision"
        )
    return seen


def _look(
    images: Sample, extractor: FeatureExtractor, start: int, stop: int, batch_size: int
) -> Features:
    seen = []
    with torch.autocast(extractor.device.type, enabled=False):
        for first in range(start, stop, batch_size):
            batch = images(min(batch_size, stop - first), first)
            seen.append(extractor(batch.to(extractor.device)))
    return Features(
        torch.cat([one.features for one in seen]), torch.cat([one.logits for one in seen])
    )
