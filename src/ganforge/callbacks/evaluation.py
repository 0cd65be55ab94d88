from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from lightning import Callback, LightningModule, Trainer

from ganforge.callbacks.scoring import Scoring, ScoringSettings, at_least, one_of, scoring_of
from ganforge.errors import (
    ConfigError,
    DivergenceError,
    FollowedError,
    InterruptionError,
    PrunedError,
    ScoreError,
    explained,
)
from ganforge.metrics.evaluate import Result, check_enough, points_of
from ganforge.metrics.features.base import FeatureExtractor, FeatureFactory
from ganforge.metrics.pairs.held_out import Share
from ganforge.metrics.pairs.score import PairScore, feature_scores
from ganforge.metrics.requested_labels import Distribution, check_distribution
from ganforge.metrics.scores.score import Score, ranked
from ganforge.metrics.source import ImageSource
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.streams import Stream, mix

log = logging.getLogger("ganforge")
# Errors that still end the run: user errors, user requests, and runs that cannot continue anyway.
_FATAL = (ConfigError, DivergenceError, FollowedError, InterruptionError, PrunedError)


class Evaluation(Callback):
    """Computes the scores of a model's images every few steps.

    Models that generate from noise are scored on separate latents, and models that translate on
    held-out images; see :mod:`ganforge.callbacks.scoring`. Baselines, if there are any, are
    measured once. Training is not affected. The extractor is not part of the module, so checkpoints
    lack it.

    Args:
        features: builds the feature extractor at setup.
        metrics: scores by name; empty to disable evaluation.
        every_n_steps: steps between evaluations; 0 evaluates only after the last step.
        n: number of generated images, or maximum number of inputs translated in each direction.
        n_real: number of real images; None uses ``n``, or all images if there are fewer.
        batch_size: images per batch, for generation and feature extraction; None uses 256, or 16
            for translations.
        split: split of the real images, "train" or "test". None uses "train", or "test" for
            translations, which fall back to "train".
        at_start: whether to evaluate before the first step.
        at_end: whether to evaluate after the last step.
        weights: generator weights, "ema" for the moving average or "raw".
        monitor: name of the score that selects the best checkpoint, in the first direction; None
            uses the first score that has a direction (higher or lower is better).
        labels: class distribution of conditional samples, "balanced" or as in the "data".

    Attributes:
        results: latest results by name, with protocol, step, images_seen and weights.
        history: one entry per evaluation, with step, images_seen and values by name.
        best: best monitored score, as name, value, step and images_seen; {} if there is none yet.
        seconds_evaluating: wall time spent in evaluations, in seconds.
    """

    def __init__(
        self,
        features: FeatureFactory,
        metrics: dict[str, Score | PairScore],
        every_n_steps: int = 1000,
        n: int = 2000,
        n_real: int | None = None,
        batch_size: int | None = None,
        split: str | None = None,
        at_start: bool = False,
        at_end: bool = True,
        weights: Literal["ema", "raw"] = "ema",
        monitor: str | None = None,
        labels: Distribution = "balanced",
    ) -> None:
        at_least("every_n_steps", every_n_steps, 0)
        at_least("n", n, 2)
        at_least("n_real", n if n_real is None else n_real, 2)
        check_enough(feature_scores(metrics), n, n_real or n)
        if batch_size is not None:
            at_least("batch_size", batch_size, 1)
        if split is not None:
            one_of("split", split, ["train", "test"])
        one_of("weights", weights, ["ema", "raw"])
        check_distribution(labels)
        if monitor is not None:
            one_of("monitor", monitor, ranked(metrics))
        self.features = features
        self.metrics = metrics
        self.every_n_steps = every_n_steps
        self.settings = ScoringSettings(n, n_real, batch_size, split, labels, weights)
        self.at_start = at_start
        self.at_end = at_end
        self.weights = weights
        self.monitor = monitor or next(iter(ranked(metrics)), None)
        self.results: dict[str, dict[str, str | int | float]] = {}
        self.history: list[dict[str, int | float]] = []
        self.best: dict[str, str | int | float] = {}
        self.seconds_evaluating = 0.0
        self._scoring: Scoring | None = None

    @property
    def extractor(self) -> FeatureExtractor | None:
        """The feature extractor; None before setup and if no score needs it."""
        return self._scoring.extractor if self._scoring else None

    @property
    def monitored(self) -> str | None:
        """Logged name of the monitored score; None without scores."""
        if self.monitor is None or not self.ready:
            return None
        return cast(Scoring, self._scoring).published(self.monitor)

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the monitored score is better."""
        return self.monitor is not None and bool(self.metrics[self.monitor].higher_is_better)

    @property
    def ready(self) -> bool:
        """Whether scores can be computed; False until :meth:`prepare` has been called."""
        return self._scoring is not None and self._scoring.prepared and bool(self._scoring.scores)

    def check(self, model: AdversarialModule, data: ImageSource) -> None:
        """Raises ConfigError if the scores do not fit model or data, before a run has a folder."""
        if self.metrics and self._scoring is None:
            settings = replace(self.settings, seed=mix(model.seed, Stream.SCORES))
            self._scoring = scoring_of(model, data, self.metrics, settings)

    def prepare(self, device: torch.device) -> None:
        """Builds the extractor, before a run has a folder, so that missing weights fail early."""
        if self._scoring is None or self._scoring.prepared:
            return
        self._scoring.prepare(self.features, device)
        scores = self._scoring.scores
        if self.monitor not in scores:
            self.monitor = next(iter(ranked(scores)), None)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Builds the extractor on rank 0 first, which trains or downloads it for all ranks."""
        if not self.metrics:
            return
        data = cast("ImageSource | None", getattr(trainer, "datamodule", None))
        if data is None:
            raise ConfigError(
                "evaluation needs a data module with real images; metrics=[] turns it off"
            )
        self.check(cast(AdversarialModule, pl_module), data)
        if not trainer.is_global_zero:
            trainer.strategy.barrier("features")  # until rank 0 has filled the cache
        self.prepare(trainer.strategy.root_device)
        if trainer.is_global_zero:
            trainer.strategy.barrier("features")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluates the untrained model, or an evaluation that an interrupted process missed."""
        if cast(AdversarialModule, pl_module).iteration > 0:
            self._evaluate_if_due(trainer, pl_module)
        elif self.at_start and self._evaluated_at() is None:
            self.run(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Evaluates every ``every_n_steps`` steps."""
        self._evaluate_if_due(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluates after the last step."""
        if self.at_end and self._evaluated_at() != cast(AdversarialModule, pl_module).iteration:
            self.run(trainer, pl_module)

    def run(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluates now; stores and logs the results. The first call also measures baselines."""
        if not self.ready:
            return
        scoring, model = cast(Scoring, self._scoring), cast(AdversarialModule, pl_module)
        share = Share(pl_module.device, trainer.global_rank, trainer.world_size)
        if scoring.has_baselines and not any("_baseline" in name for name in self.results):
            baselines = self._measured(trainer, model, lambda: scoring.baselines(share))
            self.results |= {name: result.to_dict() for name, result in baselines.items()}
            for name, one in baselines.items():
                log.info("%s: %.4f (split %s, %d images)", name, one.value, one.split, one.n_fake)
        results = self._measured(trainer, model, lambda: scoring.evaluate(model, share))
        self._record(model, results)
        if results:
            model.publish(points_of(results))

    def state_dict(self) -> dict[str, Any]:
        """Returns results, history, best score and evaluation time as plain values."""
        return {
            "results": {name: dict(result) for name, result in self.results.items()},
            "history": [dict(point) for point in self.history],
            "best": dict(self.best),
            "seconds_evaluating": self.seconds_evaluating,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state of :meth:`state_dict`."""
        self.results = {name: dict(result) for name, result in state_dict["results"].items()}
        self.history = [dict(point) for point in state_dict["history"]]
        self.best = dict(state_dict["best"])
        self.seconds_evaluating = float(state_dict["seconds_evaluating"])

    def _evaluated_at(self) -> int | None:
        return int(self.history[-1]["step"]) if self.history else None

    def _evaluate_if_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = cast(AdversarialModule, pl_module).iteration
        if self.every_n_steps and step % self.every_n_steps == 0 and self._evaluated_at() != step:
            self.run(trainer, pl_module)

    def _measured(
        self, trainer: Trainer, model: AdversarialModule, measure: Callable[[], dict[str, Result]]
    ) -> dict[str, Result]:
        """Returns the timed results of rank 0, with the random state restored."""
        started = _now(model.device)
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            results = attempted(measure, trainer.world_size, model.iteration)
        # Devices may round differently, and all ranks must agree on the best step.
        shared: dict[str, Result] = trainer.strategy.broadcast(results)
        self.seconds_evaluating += _now(model.device) - started
        return shared

    def _record(self, module: AdversarialModule, results: dict[str, Result]) -> None:
        where: dict[str, int | float] = {
            "step": module.iteration,
            "images_seen": module.images_seen,
        }
        for name, result in results.items():
            self.results[name] = {**result.to_dict(), **where, "weights": self.weights}
        self.history.append(where | {name: result.value for name, result in results.items()})
        best = self.monitored
        # Step 0 has no checkpoint, so it cannot be the best.
        if best in results and module.iteration > 0 and self._improves(results[best].value):
            self.best = {"name": best, "value": results[best].value, **where}

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if not self.best or self.best["name"] != self.monitored:
            return True
        best = float(self.best["value"])
        return value > best if self.higher_is_better else value < best


def evaluations(trainer: Trainer) -> list[Evaluation]:
    """Returns the trainer's Evaluation callbacks."""
    callbacks = cast(list[Callback], trainer.callbacks)  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, Evaluation)]


def _now(device: torch.device) -> float:
    # Kernels run asynchronously: without a sync, queued training work would count as evaluation.
    if device.type in ("cuda", "mps"):
        torch.accelerator.synchronize()
    return time.perf_counter()


def attempted(compute: Callable[[], dict[str, Result]], world: int, step: int) -> dict[str, Result]:
    """Returns the results of an evaluation, or {} with a warning if it fails.

    Args:
        compute: runs the evaluation.
        world: number of processes. With several, only errors raised on all of them are caught.
        step: current step, for the message.
    """
    try:
        return compute()
    except _FATAL:
        raise
    except Exception as error:
        # If one rank continued alone, the others would wait for its rows forever.
        if world > 1 and not (isinstance(error, ScoreError) and error.everywhere):
            raise
        reason = (explained(error) or str(error).strip() or type(error).__name__).splitlines()[0]
        log.warning("NO SCORES AT STEP %d, training continues: %s", step, reason)
        log.debug("error of this evaluation", exc_info=True)
        return {}
