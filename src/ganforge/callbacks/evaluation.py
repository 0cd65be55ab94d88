from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol, cast

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from ganforge.callbacks.attempts import attempted
from ganforge.callbacks.checks import at_least, one_of
from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.class_checks import check_classes
from ganforge.metrics.evaluate import Result, check_enough, evaluate, points_of
from ganforge.metrics.features.base import FeatureExtractor, FeatureFactory
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.requested_labels import Distribution, RequestedLabels, check_distribution
from ganforge.metrics.scores.score import Score, ranked
from ganforge.metrics.source import ImageSource
from ganforge.models.engine.latent_paths import LatentPaths
from ganforge.streams import Stream, mix

Measure = Callable[[Trainer, LightningModule], dict[str, Result]]


class Scored(Protocol):
    """What the callback knows of a game."""

    iteration: int
    images_seen: int
    seed: int
    num_classes: int

    def sample(self, n: int, seed: int, weights: str, start: int, labels: Tensor | None) -> Tensor:
        """Returns images start ... start + n - 1 of stream ``seed``, [n, C, H, W] in [-1, 1]."""
        ...

    def publish(self, values: dict[str, float | Tensor]) -> None:
        """Logs a point."""
        ...


class Evaluation(Callback):
    """Scores the generator every few steps, on latents of its own, without touching training.

    Nothing that it holds is part of the module, so that no feature extractor is in a checkpoint.

    Args:
        features: makes the extractor when a run starts.
        metrics: scores by name; empty for none.
        every_n_steps: steps between evaluations, 0 for none but the last.
        n: generated images.
        n_real: real images; None takes ``n``, or all where there are fewer.
        batch_size: images made and looked at together.
        split: where the real images are from, "train" or "test".
        at_end: evaluate after the last step too.
        weights: the generator's moving average "ema" or its "raw" weights.
        monitor: name of the score that decides what is best; None is the first of which a value is
            better than another.
        labels: the classes that a game with classes is asked for: "balanced" or as in the "data".

    Attributes:
        results: latest results by name, with protocol, step, images_seen and weights.
        history: one entry for each evaluation: step, images_seen and values by name.
        best: the monitored score at its best: name, value, step, images_seen; {} before any.
        seconds_evaluating: wall time of evaluations so far.
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
        self._asked: RequestedLabels | None = None

    @property
    def extractor(self) -> FeatureExtractor | None:
        """What looks at the images; None before set-up and in runs without scores."""
        return self._reals.extractor if self._reals else None

    @property
    def monitored(self) -> str | None:
        """Name of the score that decides what is best, as published; None without scores."""
        if self.monitor is None or self._reals is None:
            return None
        return self.metrics[self.monitor].published(self.monitor, self._reals.extractor)

    @property
    def higher_is_better(self) -> bool:
        """Which way the monitored score is up."""
        return self.monitor is not None and bool(self.metrics[self.monitor].higher_is_better)

    @property
    def asked(self) -> bool:
        """Whether there is any score to compute."""
        return bool(self.metrics)

    @property
    def ready(self) -> bool:
        """Whether there is something to score by, which is known after :meth:`prepare`."""
        return self._reals is not None

    def check(self, game: object, data: ImageSource) -> None:
        """Refuses scores that can't judge this game on these data, before a run has a folder."""
        if self.asked and getattr(game, "needs_inputs", False):
            raise ConfigError(
                "callbacks=default scores images made of noise, and this game makes images of "
                "images: take callbacks=translation, as model=pix2pix and model=cyclegan do"
            )
        if self.asked:
            classes, n_real = cast(Scored, game).num_classes, self.n_real or self.n
            self._asked = RequestedLabels(self.labels, classes, data, self.split)
            check_classes(self.metrics, data, self._asked, self.n, n_real, self.split)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes the extractor: one process trains or downloads, the others read what it left."""
        if not self.asked:
            return
        data = cast("ImageSource | None", getattr(trainer, "datamodule", None))
        if data is None:
            raise ConfigError("evaluation needs a data module that gives real images; metrics=[]")
        self.check(pl_module, data)
        if not trainer.is_global_zero:
            trainer.strategy.barrier("features")
        self.prepare(data, trainer.strategy.root_device)
        if trainer.is_global_zero:
            trainer.strategy.barrier("features")

    def prepare(self, data: ImageSource, device: torch.device) -> None:
        """Makes the extractor, so that missing weights are an error before a run has a folder."""
        if not self.metrics or self._reals is not None:
            return
        extractor = self.features.build(data, device)
        if extractor is None:
            return
        ready = [name for name, one in self.metrics.items() if one.prepare(data, extractor, device)]
        self.metrics = {name: self.metrics[name] for name in ready}
        if self.monitor not in ready:
            self.monitor = next(iter(ranked(self.metrics)), None)
        self._reals = RealFeatures(data, extractor, StatisticsCache()) if ready else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Makes up for an evaluation that an interrupted run had due at the step it resumes at."""
        if cast(Scored, pl_module).iteration > 0:
            self._evaluate_if_due(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Evaluates at every n-th step."""
        self._evaluate_if_due(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluates after the last step."""
        if self.at_end and self._evaluated_at() != cast(Scored, pl_module).iteration:
            self.run(trainer, pl_module)

    def run(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluates now, keeps and publishes the results."""
        if not self.ready:
            return
        results = self.measured(trainer, pl_module, self._score)
        self._keep(cast(Scored, pl_module), results)
        if results:
            cast(Scored, pl_module).publish(points_of(results))

    def state_dict(self) -> dict[str, Any]:
        """Returns what has been measured, as plain values."""
        return {
            "results": {name: dict(result) for name, result in self.results.items()},
            "history": [dict(point) for point in self.history],
            "best": dict(self.best),
            "seconds_evaluating": self.seconds_evaluating,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what an earlier part of the run has measured."""
        self.results = {name: dict(result) for name, result in state_dict["results"].items()}
        self.history = [dict(point) for point in state_dict["history"]]
        self.best = dict(state_dict["best"])
        self.seconds_evaluating = float(state_dict["seconds_evaluating"])

    def _evaluated_at(self) -> int | None:
        return int(self.history[-1]["step"]) if self.history else None

    def _evaluate_if_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = cast(Scored, pl_module).iteration
        if self.every_n_steps and step % self.every_n_steps == 0 and self._evaluated_at() != step:
            self.run(trainer, pl_module)

    def measured(
        self, trainer: Trainer, pl_module: LightningModule, score: Measure
    ) -> dict[str, Result]:
        """Returns what ``score`` finds, timed, and without a trace in any random stream."""
        device = pl_module.device
        started = _now(device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            step = cast(Scored, pl_module).iteration
            results = attempted(lambda: score(trainer, pl_module), trainer.world_size, step)
        # Different devices may round differently, and every process must choose the same best.
        shared: dict[str, Result] = trainer.strategy.broadcast(results)
        self.seconds_evaluating += _now(device) - started
        return shared

    def _score(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Result]:
        game, reals = cast(Scored, pl_module), cast(RealFeatures, self._reals)
        seed = mix(game.seed, Stream.SCORES)
        asked = self._asked or RequestedLabels(self.labels)

        def sample(n: int, start: int) -> Tensor:
            classes = asked(n, start)
            return game.sample(n, seed=seed, weights=self.weights, start=start, labels=classes)

        return evaluate(
            sample,
            reals.data,
            reals.extractor,
            self.metrics,
            n=self.n,
            seed=seed,
            batch_size=self.batch_size,
            rank=trainer.global_rank,
            world=trainer.world_size,
            split=self.split,
            n_real=self.n_real,
            reals=reals,
            labels=asked,
            paths=LatentPaths(cast(Any, game), seed, self.weights),
        )

    def _keep(self, game: Scored, results: dict[str, Result]) -> None:
        where: dict[str, int | float] = {"step": game.iteration, "images_seen": game.images_seen}
        for name, result in results.items():
            self.results[name] = {**result.to_dict(), **where, "weights": self.weights}
        self.history.append(where | {name: result.value for name, result in results.items()})
        best = self.monitored
        # An untrained generator is no candidate: there is no checkpoint of it.
        if best in results and game.iteration > 0 and self._improves(results[best].value):
            self.best = {"name": best, "value": results[best].value, **where}

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if not self.best or self.best["name"] != self.monitored:
            return True
        best = float(self.best["value"])
        return value > best if self.higher_is_better else value < best


def evaluations(trainer: Trainer) -> list[Evaluation]:
    """Returns the evaluations among a trainer's callbacks."""
    callbacks = cast(list[Callback], trainer.callbacks)  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, Evaluation)]


def _now(device: torch.device) -> float:
    # Work still queued on a device belongs to training, not to the evaluation after it.
    if device.type in ("cuda", "mps"):
        torch.accelerator.synchronize()
    return time.perf_counter()
