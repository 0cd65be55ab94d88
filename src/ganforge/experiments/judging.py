from __future__ import annotations

from typing import Any, cast

import torch
from omegaconf import DictConfig

from ganforge.errors import ConfigError
from ganforge.experiments.command import Command
from ganforge.experiments.loading import build, load_data, read_config
from ganforge.experiments.run_folder import RunFolder
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.direction import TranslationSource
from ganforge.metrics.evaluate import Result, check_labels, evaluate
from ganforge.metrics.features import FeatureExtractor
from ganforge.metrics.held_out import HeldOut, Share, split_of
from ganforge.metrics.labelled_domains import for_features
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.score import Score
from ganforge.metrics.source import ImageSource
from ganforge.metrics.translation_judge import Translates, TranslationJudge
from ganforge.metrics.translation_metrics import check_metrics, feature_scores, pair_scores
from ganforge.models.adversarial import AdversarialModule
from ganforge.models.latent_paths import LatentPaths

TOGETHER = {"samples": 256, "translations": 16}  # images looked at in one go


def judge_samples(
    cfg: DictConfig, folder: RunFolder, model: AdversarialModule, device: torch.device
) -> dict[str, Result]:
    """Returns the scores of images made of noise.

    Args:
        cfg: composed from conf/evaluate.yaml.
        folder: of the run.
        model: on ``device``.
        device: where images are made and looked at.
    """
    scores = {name: build(node) for name, node in cfg.metrics.items()}
    if pairs := list(pair_scores(scores)):
        raise ConfigError(
            f"metrics={pairs[0]} judges translations, and this run's model "
            f"({type(model).__name__}) makes images of noise. Leave it out of metrics=[...]"
        )
    check_labels(scores, model.num_classes)
    data = load_data(folder)
    extractor = _extractor(cfg, data, device)
    scores = _ready(scores, data, extractor, device)
    if not scores:
        raise ConfigError(f"none of metrics=[{','.join(cfg.metrics)}] can judge data={data.name}")
    split = cfg.split or "train"
    labels = RequestedLabels(cfg.labels, model.num_classes, data, split)

    def sample(n: int, start: int) -> torch.Tensor:
        asked = labels(n, start)
        return model.sample(n, cfg.seed, weights=cfg.weights, start=start, labels=asked)

    size = cfg.batch_size or TOGETHER["samples"]
    return evaluate(
        sample,
        data,
        extractor,
        scores,
        cfg.n,
        cfg.seed,
        size,
        split=split,
        reals=RealFeatures(data, extractor, StatisticsCache()),
        labels=labels,
        paths=LatentPaths(model, cfg.seed, cfg.weights),
    )


def judge_translations(
    cfg: DictConfig, folder: RunFolder, model: AdversarialModule, device: torch.device
) -> dict[str, Result]:
    """Returns the scores of translations of held-out images, and what they have to beat.

    Without metrics=[...] on the command line they are those that the run was trained with.

    Args:
        cfg: composed from conf/evaluate.yaml.
        folder: of the run.
        model: on ``device``.
        device: where images are translated and looked at.
    """
    nodes = cfg.metrics if "metrics" in Command.of(cfg).groups else read_config(folder).metrics
    metrics = {name: build(node) for name, node in (nodes or cfg.metrics).items()}
    game = cast(Translates, cast(Any, model))
    data = cast(TranslationSource, load_data(folder))
    check_metrics(metrics, data, game.directions)
    scores = feature_scores(metrics)
    extractor: FeatureExtractor | None = None
    if scores:
        extractor = _extractor(cfg, for_features(data), device)
        scores = _ready(scores, for_features(data), extractor, device)
    pairs = pair_scores(metrics)
    for pair in pairs.values():
        pair.prepare(device)
    split = split_of(data, cfg.split or "test", least=2 if scores else 1)
    held = HeldOut(cfg.n, cfg.batch_size or TOGETHER["translations"], split)
    judge, share = TranslationJudge(data, extractor, scores, pairs, held), Share(device)
    results = judge.judge(game, cfg.weights, cfg.seed, share)
    return results | judge.baselines(game.directions, share)


def _extractor(cfg: DictConfig, data: ImageSource, device: torch.device) -> FeatureExtractor:
    extractor: FeatureExtractor | None = build(cfg.features).build(data, device)
    if extractor is None:
        raise ConfigError("no features fit this data: features=inception features.weights=PATH")
    return extractor


def _ready(
    scores: dict[str, Score],
    data: ImageSource,
    extractor: FeatureExtractor,
    device: torch.device,
) -> dict[str, Score]:
    return {name: one for name, one in scores.items() if one.prepare(data, extractor, device)}
