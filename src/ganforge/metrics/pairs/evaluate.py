from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor

from ganforge.data.images import to_float, with_channels
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages, Result, evaluate
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.pairs.direction import Direction, TranslationSource, directions_of
from ganforge.metrics.pairs.held_out import HeldOut, Share
from ganforge.metrics.pairs.score import PairScore
from ganforge.metrics.real_features import RealFeatures, Sample
from ganforge.metrics.scores.score import Score
from ganforge.metrics.source import ImageSource

Weights = Literal["ema", "raw"]
COLOURS = 1000  # maximum number of training images for the mean color
CHUNK = 100


class Translates(Protocol):
    """The interface of a model that translates images."""

    directions: tuple[str, ...]

    def translate(
        self,
        inputs: Tensor,
        direction: str | None = None,
        weights: Weights = "ema",
        seed: int = 0,
        start: int = 0,
    ) -> Tensor:
        """Returns translations of inputs with indices start ..., both [n, C, H, W] in [-1, 1]."""
        ...


class TranslationEvaluator:
    """Scores a model's translations of held-out images, in each of its directions.

    Feature scores compare the translations with the target domain. Pair scores compare each
    translation with the target of its input; cyclic ones compare each input with its
    reconstruction. Every image is translated once for all scores.

    Args:
        data: the two domains.
        extractor: feature extractor of ``scores``; None disables them.
        scores: feature scores by name.
        pairs: pair scores by name.
        held: the evaluation images.
        n_real: number of real images; None uses as many as translations, or all if there are fewer.
    """

    def __init__(
        self,
        data: TranslationSource,
        extractor: FeatureExtractor | None,
        scores: dict[str, Score],
        pairs: dict[str, PairScore],
        held: HeldOut,
        n_real: int | None = None,
    ) -> None:
        self.data = data
        self.extractor = extractor
        self.scores = scores if extractor is not None else {}
        self.pairs = pairs
        self.held = held
        self.n_real = n_real
        self._reals: dict[str, RealFeatures] = {}

    def published(self, name: str, direction: Direction) -> str:
        """Returns the name under which a score's results are reported."""
        if name in self.pairs:
            return self.pairs[name].published(name, direction)
        assert self.extractor is not None
        return direction.published(self.scores[name].published(name, self.extractor))

    @torch.no_grad()
    def evaluate(
        self, model: Translates, weights: Weights, seed: int, share: Share
    ) -> dict[str, Result]:
        """Returns the scores of a model by published name, equal on all processes.

        Args:
            model: the model to evaluate.
            weights: "ema" for the moving average of the generator's weights, or "raw".
            seed: seed of stochastic networks and of the scores' random subsets.
            share: this process's share.

        Raises:
            ConfigError: There are too few images.
            DivergenceError: The model produces images that are not finite.
        """
        results: dict[str, Result] = {}
        for direction in directions_of(self.data, model.directions):
            images = self._translations(model, direction, weights, seed, share)
            for pair in self.pairs.values():
                pair.reset(share.device)
            if self.scores:
                results |= self._compare_features(direction, images, seed, share)
            else:
                self.held.run_batches(direction, images, share)
            count = self.held.count(direction)
            for name, pair in self.pairs.items():
                result = pair.result(direction, count, self.held.split)
                results[pair.published(name, direction)] = result
        return results

    @torch.no_grad()
    def baselines(self, names: Sequence[str], share: Share) -> dict[str, Result]:
        """Returns the pair scores of the unchanged inputs and of a constant color.

        Args:
            names: the model's directions.
            share: this process's share.
        """
        return baselines(self.pairs, directions_of(self.data, names), self.held, share)

    def _translations(
        self, model: Translates, direction: Direction, weights: Weights, seed: int, share: Share
    ) -> Sample:
        translate = partial(model.translate, weights=weights, seed=seed)

        def images(n: int, start: int) -> Tensor:
            inputs = self.held.inputs(direction, n, start).to(share.device)
            outputs = translate(inputs, direction.name, start=start)
            cyclic = [pair for pair in self.pairs.values() if pair.cyclic]
            paired = [pair for pair in self.pairs.values() if not pair.cyclic]
            if cyclic:
                reconstructed = translate(outputs, direction.back, start=start)
                for pair in cyclic:
                    pair.update(reconstructed, inputs)
            if paired:
                targets = self.held.targets(direction, n, start)
                for pair in paired:
                    pair.update(outputs, targets)
            return outputs

        return images

    def _compare_features(
        self, direction: Direction, images: Sample, seed: int, share: Share
    ) -> dict[str, Result]:
        assert self.extractor is not None
        if direction.name not in self._reals:
            reals = RealFeatures(direction.target, self.extractor, StatisticsCache())
            self._reals[direction.name] = reals
        settings = EvaluationSettings(
            self.held.count(direction),
            seed,
            self.held.batch_size,
            self.held.split,
            self.n_real,
            share.rank,
            share.world,
        )
        reals = self._reals[direction.name]
        results = evaluate(GeneratedImages(images), reals, self.scores, settings)
        for result in results.values():
            result.details["direction"] = direction.name
        return {direction.published(name): result for name, result in results.items()}


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
