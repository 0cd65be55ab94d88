from __future__ import annotations

import logging
from typing import Any, Unpack, cast

import torch
from lightning import LightningModule, Trainer

from ganforge.callbacks.checks import check_translates, one_of
from ganforge.callbacks.evaluation import Evaluation, EvaluationParts
from ganforge.metrics.evaluate import Result
from ganforge.metrics.features.base import FeatureExtractor, FeatureFactory
from ganforge.metrics.pairs.direction import Direction, TranslationSource, directions_of
from ganforge.metrics.pairs.evaluate import Translates, TranslationEvaluator
from ganforge.metrics.pairs.held_out import HeldOut, Share, split_of
from ganforge.metrics.pairs.labelled_domains import for_features
from ganforge.metrics.pairs.score import PairScore, check_metrics, feature_scores, pair_scores
from ganforge.metrics.scores.score import Score, fitting
from ganforge.metrics.source import ImageSource
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.streams import Stream, mix

log = logging.getLogger("ganforge")


class TranslationEvaluation(Evaluation):
    """Scores translations of held-out images every few steps, without affecting training.

    Feature scores (``fid``, ``kid``) compare translations with the target domain. Pair scores
    (``l1``, ``psnr``, ``ssim``) compare each translation with its target image. ``cycle_l1``
    compares each input with its reconstruction. Names of models with two directions include the
    direction: ``fid_AtoB``, ``l1_BtoA``, ``cycle_l1_A``. Paired data also have baselines, measured
    once: ``l1_input_baseline`` scores the inputs themselves, and ``l1_constant_baseline`` the mean
    color of the training targets.

    Args:
        features: builds the feature extractor at setup; uses domains as labels if the data have
            none.
        metrics: scores by name; empty to disable evaluation.
        n: maximum number of inputs translated in each direction.
        batch_size: images per batch, for translation and feature extraction.
        split: split of the images, "test" or "train"; falls back to "train".
        at_start: whether to evaluate before the first step.
        monitor: name of the score that selects the best checkpoint, in the first direction; None
            uses the first of ``metrics``.
        **settings: arguments of Evaluation.
    """

    def __init__(
        self,
        features: FeatureFactory,
        metrics: dict[str, Score | PairScore],
        *,
        n: int = 2000,
        batch_size: int = 16,
        split: str = "test",
        at_start: bool = True,
        monitor: str | None = None,
        **settings: Unpack[EvaluationParts],
    ) -> None:
        scores = feature_scores(metrics)
        super().__init__(features, scores, n=n, batch_size=batch_size, split=split, **settings)
        if monitor is not None:
            one_of("monitor", monitor, metrics)
        self.at_start = at_start
        self.pairs = pair_scores(metrics)
        self.monitor = monitor or next(iter(metrics), None)
        self._order = list(metrics)
        self._evaluator: TranslationEvaluator | None = None
        self._first: Direction | None = None

    @property
    def configured(self) -> bool:
        """Whether any score is configured."""
        return bool(self.metrics or self.pairs)

    @property
    def ready(self) -> bool:
        """Whether scores can be computed; False until :meth:`prepare` has been called."""
        return self._evaluator is not None

    @property
    def extractor(self) -> FeatureExtractor | None:
        """The feature extractor; None before setup and if no score needs it."""
        return self._evaluator.extractor if self._evaluator else None

    @property
    def monitored(self) -> str | None:
        """Logged name of the monitored score; None without scores."""
        if self.monitor is None or self._evaluator is None or self._first is None:
            return None
        return self._evaluator.published(self.monitor, self._first)

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the monitored score is better."""
        every: dict[str, Score | PairScore] = {**self.metrics, **self.pairs}
        chosen = every.get(self.monitor or "")
        return chosen is not None and bool(chosen.higher_is_better)

    def check(self, model: object, data: object) -> None:
        """Raises ConfigError if the scores do not fit the data or the module.

        Called before the run folder is created.
        """
        if not self.configured:
            return
        check_translates(model, data, "scores")
        source, names = cast(TranslationSource, data), cast(Translates, model).directions
        check_metrics({**self.metrics, **self.pairs}, source, names)
        self._first = directions_of(source, names)[0]

    def prepare(self, data: ImageSource, device: torch.device) -> None:
        """Builds the extractor and the pair scores.

        Called before the run folder is created, so that missing weights fail early.
        """
        if not self.configured or self._evaluator is not None:
            return
        domains = cast(TranslationSource, data)
        extractor = self._extractor_for(domains, device)
        for pair in self.pairs.values():
            pair.prepare(device)
        if extractor is None:
            self.metrics = {}
        if self.monitor not in {**self.metrics, **self.pairs}:
            self.monitor = next((n for n in self._order if n in self.pairs), None)
        if not self.configured:
            return
        # Feature scores compare distributions, which need at least two images.
        split = split_of(domains, self.split, least=2 if self.metrics else 1)
        if split != self.split:
            log.warning(
                "data=%s has too few %s images: scores use the %s images",
                data.name,
                self.split,
                split,
            )
        held = HeldOut(self.n, self.batch_size, split)
        self._evaluator = TranslationEvaluator(
            domains, extractor, self.metrics, self.pairs, held, self.n_real
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluates the untrained model, or an evaluation that an interrupted process missed."""
        started = cast(AdversarialModule, pl_module).iteration > 0
        if self.at_start and not started and self._evaluated_at() is None:
            self.run(trainer, pl_module)
        super().on_train_start(trainer, pl_module)

    def run(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluates now; stores and logs the results. The first call also measures baselines."""
        if self.pairs and self.ready and not any("_baseline" in name for name in self.results):
            baselines = self.measured(trainer, pl_module, self._baselines)
            self.results |= {name: result.to_dict() for name, result in baselines.items()}
            for name, one in baselines.items():
                log.info("%s: %.4f (split %s, %d images)", name, one.value, one.split, one.n_fake)
        super().run(trainer, pl_module)

    def _extractor_for(
        self, data: TranslationSource, device: torch.device
    ) -> FeatureExtractor | None:
        if not self.metrics:
            return None
        source = for_features(data)
        extractor = self.features.build(source, device)
        if extractor is not None:
            self.metrics = fitting(self.metrics, source, extractor, device)
        return extractor

    def _score(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Result]:
        game = cast(Translates, cast(Any, pl_module))
        seed = mix(cast(AdversarialModule, pl_module).seed, Stream.SCORES)
        assert self._evaluator is not None
        return self._evaluator.evaluate(game, self.weights, seed, _share(trainer, pl_module))

    def _baselines(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Result]:
        names = cast(Translates, cast(Any, pl_module)).directions
        assert self._evaluator is not None
        return self._evaluator.baselines(names, _share(trainer, pl_module))


def _share(trainer: Trainer, pl_module: LightningModule) -> Share:
    return Share(pl_module.device, trainer.global_rank, trainer.world_size)
