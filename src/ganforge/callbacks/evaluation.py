from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal, TypedDict, cast

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from ganforge.callbacks.attempts import attempted
from ganforge.callbacks.checks import at_least, check_generates, one_of
from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import (
    EvaluationSettings,
    GeneratedImages,
    Result,
    check_enough,
    evaluate,
    points_of,
)
from ganforge.metrics.features.base import FeatureExtractor, FeatureFactory
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.requested_labels import (
    Distribution,
    RequestedLabels,
    check_classes,
    check_distribution,
)
from ganforge.metrics.scores.score import Score, fitting, ranked
from ganforge.metrics.source import ImageSource
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.latent_paths import LatentPaths
from ganforge.streams import Stream, mix

Measure = Callable[[Trainer, LightningModule], dict[str, Result]]


class EvaluationParts(TypedDict, total=False):
    """Arguments of Evaluation whose defaults other evaluations share."""

    every_n_steps: int
    n_real: int | None
    at_end: bool
    weights: Literal["ema", "raw"]


class Evaluation(Callback):
    """Computes the generator's scores every few steps, on separate latents.

    Training is not affected. The extractor is not part of the module, so checkpoints lack it.

    Args:
        features: builds the feature extractor at setup.
        metrics: scores by name; empty to disable evaluation.
        every_n_steps: steps between evaluations; 0 evaluates only after the last step.
        n: number of generated images.
        n_real: number of real images; None uses ``n``, or all images if there are fewer.
        batch_size: images per batch, for generation and feature extraction.
        split: split of the real images, "train" or "test".
        at_end: whether to evaluate after the last step.
        weights: generator weights, "ema" for the moving average or "raw".
        monitor: name of the score that selects the best checkpoint; None uses the first score that
            has a direction (higher or lower is better).
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
        metrics: dict[str, Score],
        every_n_steps: int = 1000,
        n: int = 10_000,
        n_real: int | None = None,
        batch_size: int = 250,
        split: str = "train",
        at_end: bool = True,
        weights: Literal["ema", "raw"] = "ema",
        monitor: str | None = None,
        labels: Distribution = "balanced",
    ) -> None:
        at_least("every_n_steps", every_n_steps, 0)
        at_least("n", n, 2)
        at_least("n_real", n if n_real is None else n_real, 2)
        check_enough(metrics, n, n_real or n)
        at_least("batch_size", batch_size, 1)
        one_of("split", split, ["train", "test"])
        one_of("weights", weights, ["ema", "raw"])
        check_distribution(labels)
        if monitor is not None:
            one_of("monitor", monitor, ranked(metrics))
        self.features = features
        self.metrics = metrics
        self.every_n_steps = every_n_steps
        self.n, self.n_real = n, n_real
        self.batch_size = batch_size
        self.split = split
        self.at_end = at_end
        self.weights = weights
        self.monitor = monitor or next(iter(ranked(metrics)), None)
        self.labels = labels
        self.results: dict[str, dict[str, str | int | float]] = {}
        self.history: list[dict[str, int | float]] = []
        self.best: dict[str, str | int | float] = {}
        self.seconds_evaluating = 0.0
        self._reals: RealFeatures | None = None
        self._requested: RequestedLabels | None = None

    @property
    def extractor(self) -> FeatureExtractor | None:
        """The feature extractor; None before setup and in runs without scores."""
        return self._reals.extractor if self._reals else None

    @property
    def monitored(self) -> str | None:
        """Logged name of the monitored score; None without scores."""
        if self.monitor is None or self._reals is None:
            return None
        return self.metrics[self.monitor].published(self.monitor, self._reals.extractor)

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the monitored score is better."""
        return self.monitor is not None and bool(self.metrics[self.monitor].higher_is_better)

    @property
    def configured(self) -> bool:
        """Whether any score is configured."""
        return bool(self.metrics)

    @property
    def ready(self) -> bool:
        """Whether scores can be computed; False until :meth:`prepare` has been called."""
        return self._reals is not None

    def check(self, model: object, data: ImageSource) -> None:
        """Raises ConfigError if the scores do not fit module or data, before a run has a folder."""
        if self.configured:
            check_generates(model, "scores")
            classes, n_real = cast(AdversarialModule, model).num_classes, self.n_real or self.n
            self._requested = RequestedLabels(self.labels, classes, data, self.split)
            check_classes(self.metrics, data, self._requested, self.n, n_real, self.split)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Builds the extractor on rank 0 first, which trains or downloads it for all ranks."""
        if not self.configured:
            return
        data = cast("ImageSource | None", getattr(trainer, "datamodule", None))
        if data is None:
            raise ConfigError(
                "evaluation needs a data module with real images; metrics=[] turns it off"
            )
        self.check(pl_module, data)
        if not trainer.is_global_zero:
            trainer.strategy.barrier("features")  # until rank 0 has filled the cache
        self.prepare(data, trainer.strategy.root_device)
        if trainer.is_global_zero:
            trainer.strategy.barrier("features")

    def prepare(self, data: ImageSource, device: torch.device) -> None:
        """Builds the extractor, before a run has a folder, so that missing weights fail early."""
        if not self.metrics or self._reals is not None:
            return
        extractor = self.features.build(data, device)
        if extractor is None:
            return
        self.metrics = fitting(self.metrics, data, extractor, device)
        if self.monitor not in self.metrics:
            self.monitor = next(iter(ranked(self.metrics)), None)
        self._reals = RealFeatures(data, extractor, StatisticsCache()) if self.metrics else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Runs the evaluation of the resumed step if the interrupted process missed it."""
        if cast(AdversarialModule, pl_module).iteration > 0:
            self._evaluate_if_due(trainer, pl_module)

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
        """Evaluates now; stores and logs the results."""
        if not self.ready:
            return
        results = self.measured(trainer, pl_module, self._score)
        self._record(cast(AdversarialModule, pl_module), results)
        if results:
            cast(AdversarialModule, pl_module).publish(points_of(results))

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

    def measured(
        self, trainer: Trainer, pl_module: LightningModule, score: Measure
    ) -> dict[str, Result]:
        """Returns the timed results of ``score`` from rank 0, with the random state restored."""
        device = pl_module.device
        started = _now(device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            step = cast(AdversarialModule, pl_module).iteration
            results = attempted(lambda: score(trainer, pl_module), trainer.world_size, step)
        # Devices may round differently, and all ranks must agree on the best step.
        shared: dict[str, Result] = trainer.strategy.broadcast(results)
        self.seconds_evaluating += _now(device) - started
        return shared

    def _score(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Result]:
        module, reals = cast(AdversarialModule, pl_module), cast(RealFeatures, self._reals)
        seed = mix(module.seed, Stream.SCORES)
        labels = self._requested or RequestedLabels(self.labels)

        def sample(n: int, start: int) -> Tensor:
            return module.sample(n, seed, self.weights, start, labels(n, start))

        images = GeneratedImages(sample, labels, LatentPaths(module, seed, self.weights))
        ranks = trainer.global_rank, trainer.world_size
        settings = EvaluationSettings(
            self.n, seed, self.batch_size, self.split, self.n_real, *ranks
        )
        return evaluate(images, reals, self.metrics, settings)

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
