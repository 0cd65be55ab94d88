from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ganforge.data.images import to_float, with_channels
from ganforge.metrics.evaluate import Result
from ganforge.metrics.pairs.direction import Direction
from ganforge.metrics.pairs.held_out import HeldOut, Share
from ganforge.metrics.pairs.score import PairScore
from ganforge.metrics.real_features import Sample
from ganforge.metrics.source import ImageSource

COLOURS = 1000  # maximum number of training images for the mean color
CHUNK = 100


def baselines(
    pairs: dict[str, PairScore], directions: Iterable[Direction], held: HeldOut, share: Share
) -> dict[str, Result]:
    """Returns the pair scores of trivial translations, as baselines for a trained network.

    ``l1_input_baseline`` scores the unchanged inputs, converted between gray and RGB if needed, and
    is left out if channels cannot be converted. ``l1_constant_baseline`` scores the mean color of
    the training targets. Cyclic scores have no baselines.

    Args:
        pairs: pair scores by name.
        directions: the model's directions.
        held: the evaluation images.
        share: this process's share.
    """
    pairs = {name: score for name, score in pairs.items() if not score.cyclic}
    results: dict[str, Result] = {}
    for direction in directions if pairs else ():
        for kind, make in _makers(direction, held).items():
            _measure(pairs, direction, make, held, share)
            for name, score in pairs.items():
                published = score.published(f"{name}_{kind}_baseline", direction)
                results[published] = score.result(direction, held.count(direction), held.split)
    return results


def mean_colour(images: ImageSource) -> Tensor:
    """Returns the channel means of up to 1,000 training images, float32 [C, 1, 1] in [-1, 1].

    Among constant images, this one minimizes the squared error on them.
    """
    count = min(images.size("train"), COLOURS)
    total = torch.zeros(images.channels, dtype=torch.float64)
    for start in range(0, count, CHUNK):
        pixels = images.reals(min(CHUNK, count - start), "train", start)[0]
        total += pixels.double().mean((2, 3)).sum(0)
    return (total / count / 127.5 - 1).float().view(-1, 1, 1)


def _makers(direction: Direction, held: HeldOut) -> dict[str, Sample]:
    colour, channels = mean_colour(direction.target), direction.target.channels
    side = direction.target.image_size

    def constant(n: int, start: int) -> Tensor:
        return colour.expand(n, channels, side, side)

    def inputs(n: int, start: int) -> Tensor:
        images = direction.source.reals(n, held.split, start)[0]
        return to_float(with_channels(images, channels))

    both = {direction.source.channels, channels}
    convertible = len(both) == 1 or both == {1, 3}
    return {"input": inputs, "constant": constant} if convertible else {"constant": constant}


def _measure(
    pairs: dict[str, PairScore],
    direction: Direction,
    make: Sample,
    held: HeldOut,
    share: Share,
) -> None:
    def images(n: int, start: int) -> Tensor:
        outputs, targets = make(n, start), held.targets(direction, n, start)
        for score in pairs.values():
            score.update(outputs, targets)
        return outputs

    for score in pairs.values():
        score.reset(share.device)
    held.run_batches(direction, images, share)
