from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor

from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages, Result, evaluate
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.pairs.baselines import baselines
from ganforge.metrics.pairs.direction import Direction, TranslationSource, directions_of
from ganforge.metrics.pairs.held_out import HeldOut, Share
from ganforge.metrics.pairs.score import PairScore
from ganforge.metrics.real_features import RealFeatures, Sample
from ganforge.metrics.scores.score import Score

Weights = Literal["ema", "raw"]


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
