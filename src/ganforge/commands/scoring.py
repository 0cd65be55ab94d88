from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig

from ganforge.callbacks.scoring import (
    Scoring,
    ScoringSettings,
    refuse_pair_scores,
    scoring_of,
)
from ganforge.commands.sample import truncate
from ganforge.config.command import Command
from ganforge.config.requests import EvaluateRequest
from ganforge.errors import ConfigError
from ganforge.metrics.evaluate import Result
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.pairs.held_out import Share
from ganforge.metrics.pairs.score import feature_scores
from ganforge.metrics.requested_labels import check_labels
from ganforge.metrics.source import ImageSource
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.needs import translates
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import Restored, build, load_run_data, read_config
from ganforge.runs.resuming.resumption import warn_of_other_data


def score_run(
    request: EvaluateRequest, folder: RunFolder, restored: Restored, device: torch.device
) -> dict[str, Result]:
    """Returns the scores of a run's model, which is on ``device``, and those of baselines.

    The scores of a translation model are, without metrics=[...] on the command line, those that the
    run was trained with.
    """
    model = restored.model
    metrics = {str(n): build(node) for n, node in _metrics(request, folder, model).items()}
    if translates(model):
        _check_translation_options(request)
    else:
        refuse_pair_scores(metrics, model)
        check_labels(feature_scores(metrics), model.num_classes)
        truncate(model, request.truncation)
    data = load_run_data(folder, Command.of(request), request.trust)
    warn_of_other_data(restored.images, restored.path, data)
    settings = settings_of(request, request.n or 10_000, request.n_real, request.split)
    scoring = prepared(scoring_of(model, data, metrics, settings), request, device)
    share = Share(device)
    results = scoring.evaluate(model, share)
    if request.truncation is not None:
        for result in results.values():
            result.details["truncation"] = request.truncation
    return results | scoring.baselines(share)


def settings_of(
    request: EvaluateRequest, n: int, n_real: int | None, split: str | None
) -> ScoringSettings:
    """Returns the settings of a request, for these numbers of images."""
    own = request.batch_size, split, request.labels, request.weights, request.seed
    return ScoringSettings(n, n_real, *own, request.bootstrap)


def prepared(scoring: Scoring, request: EvaluateRequest, device: torch.device) -> Scoring:
    """Returns a scoring with its extractor and with the scores that apply to its data.

    Raises:
        ConfigError: no extractor fits the data, or no score applies.
    """
    wanted = dict(scoring.scores)
    scoring.prepare(build(request.features), device)
    if scoring.extractor is None and feature_scores(wanted):
        raise _no_features()
    if not scoring.scores:
        names = ",".join(wanted)
        raise ConfigError(f"none of metrics=[{names}] applies to data={scoring.data.name}")
    return scoring


def make_extractor(
    request: EvaluateRequest, data: ImageSource, device: torch.device
) -> FeatureExtractor:
    """Returns the feature extractor for the images.

    Raises:
        ConfigError: if no extractor fits the data.
    """
    extractor: FeatureExtractor | None = build(request.features).build(data, device)
    if extractor is None:
        raise _no_features()
    return extractor


def _no_features() -> ConfigError:
    return ConfigError("no features fit these data: use features=inception features.weights=PATH")


def _metrics(
    request: EvaluateRequest, folder: RunFolder, model: AdversarialModule
) -> dict[str, Any] | DictConfig:
    if not translates(model) or "metrics" in Command.of(request).groups:
        return request.metrics
    own: DictConfig | None = read_config(folder, request.trust).metrics
    return own or request.metrics


def _check_translation_options(request: EvaluateRequest) -> None:
    for name in ("truncation", "n_real", "bootstrap"):
        if value := getattr(request, name):
            raise ConfigError(
                f"{name}={value}: applies to images generated from noise, but this run's model "
                f"translates images. Leave {name} out"
            )
