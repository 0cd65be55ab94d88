"""What is scored, in training and by ``ganforge evaluate``: a model's images against its data."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.bootstrap import add_intervals
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import (
    EvaluationSettings,
    GeneratedImages,
    Result,
    check_enough,
    evaluate,
)
from ganforge.metrics.features.base import FeatureExtractor, FeatureFactory
from ganforge.metrics.pairs.direction import TranslationSource, directions_of, for_features
from ganforge.metrics.pairs.evaluate import Translates, TranslationEvaluator
from ganforge.metrics.pairs.held_out import HeldOut, Share, split_of
from ganforge.metrics.pairs.score import check_metrics, feature_scores, pair_scores
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.requested_labels import Distribution, RequestedLabels, check_classes
from ganforge.metrics.rows import FakeRows
from ganforge.metrics.scores.score import fitting
from ganforge.metrics.source import ImageSource
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.latent_paths import LatentPaths
from ganforge.models.engine.update import Weights
from ganforge.needs import translates

log = logging.getLogger("ganforge")


@dataclass(frozen=True)
class ScoringSettings:
    """Numbers and kinds of images to score.

    Attributes:
        n: number of generated images, or maximum number of translated inputs in each direction.
        n_real: number of real images; None uses ``n``, or all images if there are fewer.
        batch_size: images per batch; None uses the default of the kind of images.
        split: split of the real images; None uses "train", or "test" for translations.
        labels: class distribution of conditional samples.
        weights: "ema" for the moving average of the generator's weights, or "raw".
        seed: seed of the images and of the scores' random subsets.
        resamples: bootstrap resamples for intervals of scores of samples; 0 for none.
    """

    n: int
    n_real: int | None = None
    batch_size: int | None = None
    split: str | None = None
    labels: Distribution = "balanced"
    weights: Weights = "ema"
    seed: int = 0
    resamples: int = 0


class Scoring(ABC):
    """Scores the images of a model against data: first ``check``, then ``prepare``, then evaluate.

    Args:
        metrics: scores by name.
        data: real images, or two domains.
        settings: numbers of images.

    Attributes:
        scores: scores by name, after :meth:`prepare` those that apply to the data.
        extractor: feature extractor; None before :meth:`prepare` and if none fits the data.
        prepared: whether :meth:`prepare` has been called.
        has_baselines: whether :meth:`baselines` returns any.
    """

    has_baselines: bool = False

    def __init__(
        self, metrics: Mapping[str, Any], data: ImageSource, settings: ScoringSettings
    ) -> None:
        self.scores: dict[str, Any] = dict(metrics)
        self.data = data
        self.settings = settings
        self.labels = RequestedLabels()  # of an unconditional model
        self.extractor: FeatureExtractor | None = None
        self.prepared = False

    @abstractmethod
    def check(self, model: AdversarialModule) -> None:
        """Raises ConfigError if a score does not fit the model or the data; reads no image."""

    @abstractmethod
    def prepare(self, features: FeatureFactory, device: torch.device) -> None:
        """Builds the feature extractor and drops the scores that do not apply to the data."""

    @abstractmethod
    def published(self, name: str) -> str:
        """Returns the name under which a score is logged, that of the first direction if two."""

    @abstractmethod
    def evaluate(self, model: AdversarialModule, share: Share) -> dict[str, Result]:
        """Returns the scores of a model by published name, equal on all processes.

        Args:
            model: the model to score, on the share's device.
            share: this process's share of the images.
        """

    def baselines(self, share: Share) -> dict[str, Result]:
        """Returns the scores of trivial images, which do not depend on the weights; {} if none."""
        return {}


class SampleScoring(Scoring):
    """Scores images that a model generates from noise, or images of any origin."""

    reals: RealFeatures  # of the prepared scoring

    def check(self, model: AdversarialModule) -> None:
        """Raises ConfigError if a score does not fit the model or the data; reads no image."""
        refuse_pair_scores(self.scores, model)
        n, split = self.settings.n, self._split
        n_real = self.settings.n_real or n
        check_enough(self.scores, n, n_real)
        self.labels = RequestedLabels(self.settings.labels, model.num_classes, self.data, split)
        check_classes(self.scores, self.data, self.labels, n, n_real, split)

    def prepare(self, features: FeatureFactory, device: torch.device) -> None:
        """Builds the feature extractor and drops the scores that do not apply to the data."""
        self.prepared, self.extractor = True, features.build(self.data, device)
        if self.extractor is None:
            self.scores = {}
            return
        self.scores = fitting(self.scores, self.data, self.extractor, device)
        self.reals = RealFeatures(self.data, self.extractor, StatisticsCache())

    def published(self, name: str) -> str:
        """Returns the name under which a score is logged."""
        assert self.extractor is not None
        return str(self.scores[name].published(name, self.extractor))

    def evaluate(self, model: AdversarialModule, share: Share) -> dict[str, Result]:
        """Returns the scores of a model's samples."""
        seed, weights = self.settings.seed, self.settings.weights

        def sample(n: int, start: int) -> Tensor:
            return model.sample(n, seed, weights, start, self.labels(n, start))

        images = GeneratedImages(sample, self.labels, LatentPaths(model, seed, weights))
        return self.score(images, share)

    def score(self, images: GeneratedImages, share: Share) -> dict[str, Result]:
        """Returns the scores of images of any origin, with bootstrap intervals if requested."""
        own, ranks = self.settings, (share.rank, share.world)
        size = own.batch_size or 256
        settings = EvaluationSettings(own.n, own.seed, size, self._split, own.n_real, *ranks)
        rows = FakeRows(own.n) if own.resamples else None
        results = evaluate(images, self.reals, self.scores, settings, rows)
        if rows is not None:
            add_intervals(results, rows, self.reals, self.scores, settings, own.resamples)
        return results

    @property
    def _split(self) -> str:
        return self.settings.split or "train"


class TranslationScoring(Scoring):
    """Scores a model's translations of held-out images.

    Feature scores (``fid``, ``kid``) compare translations with the target domain. Pair scores
    (``l1``, ``psnr``, ``ssim``) compare each translation with its target image. ``cycle_l1``
    compares each input with its reconstruction. Names of models with two directions include the
    direction: ``fid_AtoB``, ``l1_BtoA``, ``cycle_l1_A``. Baselines of paired data:
    ``l1_input_baseline`` scores the inputs themselves, and ``l1_constant_baseline`` the mean color
    of the training targets. If the data have no labels, the extractor uses the domains as labels.
    """

    evaluator: TranslationEvaluator  # of the prepared scoring
    names: Sequence[str]  # the directions of the checked model

    @property
    def domains(self) -> TranslationSource:
        """The data as two domains."""
        return cast(TranslationSource, self.data)

    def check(self, model: AdversarialModule) -> None:
        """Raises ConfigError if a score does not fit the model or the data; reads no image."""
        self.names = cast(Translates, cast(Any, model)).directions
        check_metrics(self.scores, self.domains, self.names)
        if self.settings.split == "train" and split_of(self.domains, "test") == "test":
            log.warning(
                "scores use the images that the model is trained on: split=test, or "
                "callbacks=translation, uses held-out ones"
            )

    def prepare(self, features: FeatureFactory, device: torch.device) -> None:
        """Builds the feature extractor and drops the scores that do not apply to the data."""
        self.prepared, pairs = True, pair_scores(self.scores)
        fit = feature_scores(self.scores)
        if fit:
            source = for_features(self.domains)
            self.extractor = features.build(source, device)
            fit = fitting(fit, source, self.extractor, device) if self.extractor else {}
        for pair in pairs.values():
            pair.prepare(device)
        self.scores = {n: one for n, one in self.scores.items() if n in pairs or n in fit}
        self.has_baselines = any(not pair.cyclic for pair in pairs.values())
        held = HeldOut(self.settings.n, self.settings.batch_size or 16, self._split(bool(fit)))
        self.evaluator = TranslationEvaluator(
            self.domains, self.extractor, fit, pairs, held, self.settings.n_real
        )

    def _split(self, of_features: bool) -> str:
        # Feature scores compare distributions, which need at least two images.
        wanted = self.settings.split or "test"
        split = split_of(self.domains, wanted, least=2 if of_features else 1)
        if split != wanted and self.scores:
            log.warning(
                "data=%s has too few %s images: scores use the %s images",
                self.data.name,
                wanted,
                split,
            )
        return split

    def published(self, name: str) -> str:
        """Returns the name under which a score is logged, in the first direction."""
        return self.evaluator.published(name, directions_of(self.domains, self.names)[0])

    def evaluate(self, model: AdversarialModule, share: Share) -> dict[str, Result]:
        """Returns the scores of a model's translations, in each of its directions."""
        translates = cast(Translates, cast(Any, model))
        return self.evaluator.evaluate(translates, self.settings.weights, self.settings.seed, share)

    def baselines(self, share: Share) -> dict[str, Result]:
        """Returns the pair scores of the unchanged inputs and of a constant color."""
        return self.evaluator.baselines(self.names, share)


def refuse_pair_scores(metrics: Mapping[str, Any], model: AdversarialModule) -> None:
    """Raises ConfigError if a score needs translations, for a model that has none."""
    if pairs := list(pair_scores(metrics)):
        raise ConfigError(
            f"metrics={pairs[0]} scores translations, but this run's model "
            f"({type(model).__name__}) generates images from noise. Leave it out of metrics=[...]"
        )


def check_domains(model: object, data: object) -> None:
    """Raises ConfigError if a model translates and the data have only one domain."""
    if translates(model) and "inputs" not in getattr(data, "gives", ()):
        raise ConfigError(
            f"{type(model).__name__} translates between two domains, but these data have one: use "
            "paired or unpaired data"
        )


def scoring_of(
    model: AdversarialModule,
    data: ImageSource,
    metrics: Mapping[str, Any],
    settings: ScoringSettings,
) -> Scoring:
    """Returns the scoring of a model's images, checked; not prepared yet.

    Raises:
        ConfigError: a score does not fit the model or the data.
    """
    check_domains(model, data)
    kind = TranslationScoring if translates(model) else SampleScoring
    scoring = kind(metrics, data, settings)
    scoring.check(model)
    return scoring


def at_least(name: str, value: int, least: int) -> None:
    """Raises ConfigError if an evaluation setting is below ``least``."""
    if value < least:
        raise ConfigError(f"evaluation: {name} must be at least {least}, got {value}")


def one_of(name: str, value: str, legal: Iterable[str]) -> None:
    """Raises ConfigError if an evaluation setting is not one of ``legal``."""
    if value not in (legal := list(legal)):
        raise ConfigError(
            f"evaluation: {name} must be one of {', '.join(legal) or '(no metrics)'}, got {value!r}"
        )
