from __future__ import annotations

from typing import Any, cast

import torch

from ganforge.commands.sample import truncate
from ganforge.config.command import Command
from ganforge.config.requests import EvaluateRequest
from ganforge.errors import ConfigError
from ganforge.metrics.bootstrap import add_intervals
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages, Result, evaluate
from ganforge.metrics.fake_features import FakeRows
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.pairs.direction import TranslationSource
from ganforge.metrics.pairs.evaluate import Translates, TranslationEvaluator
from ganforge.metrics.pairs.held_out import HeldOut, Share, split_of
from ganforge.metrics.pairs.labelled_domains import for_features
from ganforge.metrics.pairs.score import check_metrics, feature_scores, pair_scores
from ganforge.metrics.real_features import RealFeatures, Sample
from ganforge.metrics.requested_labels import RequestedLabels, check_classes, check_labels
from ganforge.metrics.scores.score import Paths, Score, fitting
from ganforge.metrics.source import ImageSource
from ganforge.models.engine.latent_paths import LatentPaths
from ganforge.runs.data import load_run_data
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import Restored, build, read_config
from ganforge.runs.resuming.resumption import warn_of_other_data

DEFAULT_N = 10_000
BATCH_SIZES = {"samples": 256, "translations": 16}  # defaults


def score_samples(
    request: EvaluateRequest, folder: RunFolder, restored: Restored, device: torch.device
) -> dict[str, Result]:
    """Returns the scores of images generated from noise by a model that is on ``device``."""
    model = restored.model
    scores = {name: build(node) for name, node in request.metrics.items()}
    if pairs := list(pair_scores(scores)):
        raise ConfigError(
            f"metrics={pairs[0]} scores translations, but this run's model "
            f"({type(model).__name__}) generates images from noise. Leave it out of metrics=[...]"
        )
    check_labels(scores, model.num_classes)
    truncate(model, request.truncation)
    data = load_run_data(folder, Command.of(request), request.trust)
    warn_of_other_data(restored.images, restored.path, data)
    split, n = request.split or "train", request.n or DEFAULT_N
    labels = RequestedLabels(request.labels, model.num_classes, data, split)
    check_classes(scores, data, labels, n, request.n_real or n, split)
    extractor = make_extractor(request, data, device)
    scores = ready(request, scores, data, extractor, device)

    def sample(n: int, start: int) -> torch.Tensor:
        return model.sample(n, request.seed, request.weights, start, labels(n, start))

    paths = LatentPaths(model, request.seed, request.weights)
    reals = RealFeatures(data, extractor, StatisticsCache())
    results = compute_scores(
        request, sample, reals, scores, n, request.n_real or n, split, labels, paths
    )
    if request.truncation is not None:
        for result in results.values():
            result.details["truncation"] = request.truncation
    return results


def compute_scores(
    request: EvaluateRequest,
    sample: Sample,
    reals: RealFeatures,
    scores: dict[str, Score],
    n: int,
    n_real: int,
    split: str,
    labels: RequestedLabels | None = None,
    paths: Paths | None = None,
) -> dict[str, Result]:
    """Returns scores of images of any origin, with bootstrap intervals if requested.

    See :func:`ganforge.metrics.evaluate.evaluate` for the arguments. ``n_real`` is reduced to the
    size of the split.
    """
    n_real = min(n_real, reals.data.size(split))
    size = request.batch_size or BATCH_SIZES["samples"]
    settings = EvaluationSettings(n, request.seed, size, split, n_real)
    rows = FakeRows(n) if request.bootstrap else None
    results = evaluate(GeneratedImages(sample, labels, paths), reals, scores, settings, rows)
    if rows is not None:
        add_intervals(results, rows, reals, scores, settings, request.bootstrap)
    return results


def score_translations(
    request: EvaluateRequest, folder: RunFolder, restored: Restored, device: torch.device
) -> dict[str, Result]:
    """Returns the scores of translations of held-out images, and the scores of baselines.

    Without metrics=[...] on the command line, the scores that the run was trained with are used.
    The model must be on ``device``.
    """
    _check_translation_options(request)
    overridden = "metrics" in Command.of(request).groups
    nodes = request.metrics if overridden else read_config(folder, request.trust).metrics
    metrics = {name: build(node) for name, node in (nodes or request.metrics).items()}
    game = cast(Translates, cast(Any, restored.model))
    images = load_run_data(folder, Command.of(request), request.trust)
    warn_of_other_data(restored.images, restored.path, images)
    data = cast(TranslationSource, images)
    check_metrics(metrics, data, game.directions)
    scores = feature_scores(metrics)
    extractor: FeatureExtractor | None = None
    if scores:
        extractor = make_extractor(request, for_features(data), device)
        scores = fitting(scores, for_features(data), extractor, device)
    pairs = pair_scores(metrics)
    for pair in pairs.values():
        pair.prepare(device)
    split = split_of(data, request.split or "test", least=2 if scores else 1)
    held = HeldOut(request.n or DEFAULT_N, request.batch_size or BATCH_SIZES["translations"], split)
    evaluator, share = TranslationEvaluator(data, extractor, scores, pairs, held), Share(device)
    results = evaluator.evaluate(game, request.weights, request.seed, share)
    return results | evaluator.baselines(game.directions, share)


def make_extractor(
    request: EvaluateRequest, data: ImageSource, device: torch.device
) -> FeatureExtractor:
    """Returns the feature extractor for the images.

    Raises:
        ConfigError: if no extractor fits the data.
    """
    extractor: FeatureExtractor | None = build(request.features).build(data, device)
    if extractor is None:
        raise ConfigError(
            "no features fit these data: use features=inception features.weights=PATH"
        )
    return extractor


def ready(
    request: EvaluateRequest,
    scores: dict[str, Score],
    data: ImageSource,
    extractor: FeatureExtractor,
    device: torch.device,
) -> dict[str, Score]:
    """Returns the scores that apply to this data; the others have logged why they do not.

    Raises:
        ConfigError: if no score applies.
    """
    fit = fitting(scores, data, extractor, device)
    if not fit:
        names = ",".join(request.metrics)
        raise ConfigError(f"none of metrics=[{names}] applies to data={data.name}")
    return fit


def _check_translation_options(request: EvaluateRequest) -> None:
    for name in ("truncation", "n_real", "bootstrap"):
        if value := getattr(request, name):
            raise ConfigError(
                f"{name}={value}: applies to images generated from noise, but this run's model "
                f"translates images. Leave {name} out"
            )
