from __future__ import annotations

from dataclasses import dataclass

import torch
from omegaconf import DictConfig

from ganforge.commands.evaluate_statistics import given_statistics, score_statistics
from ganforge.commands.scoring import judge, make_extractor, ready
from ganforge.config.command import Command
from ganforge.data.files.external import ExternalImages, common_size, open_images, share_span
from ganforge.data.files.value_range import Span
from ganforge.data.module import ImageDataModule
from ganforge.data.translation.domain import Domain
from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import Result
from ganforge.metrics.features.points import mixture_of
from ganforge.metrics.pairs.checks import pair_scores
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.scores.path_score import PathScore
from ganforge.metrics.scores.score import Score
from ganforge.metrics.source import ImageSource
from ganforge.runs.load import build

OF_RUNS = ("run", "checkpoint", "weights", "truncation", "labels")  # options of runs only
NAMED = "data"  # value of real= that refers to data=NAME


@dataclass(frozen=True)
class ImageSets:
    """External images and their reference images, of the same size and number of channels.

    Attributes:
        fake: the images to evaluate.
        real: the reference images.
        split: split of the reference images.
        published: name of that split in the results.
        n: number of generated images to use.
        n_real: maximum number of reference images.
        details: preprocessing that was applied before feature extraction.
    """

    fake: ImageSource
    real: ImageSource
    split: str
    published: str
    n: int
    n_real: int
    details: dict[str, str | int | float]


def asks_for_images(cfg: DictConfig) -> bool:
    """Returns whether to evaluate external images instead of a run.

    Raises:
        ConfigError: if only one of fake= and real= is given, or options of runs are mixed in.
    """
    if cfg.fake is None and cfg.real is None:
        if cfg.image_size:
            raise ConfigError(
                "image_size=... is for images made elsewhere: fake=IMAGES real=data data=NAME. "
                "A run is compared with the data that it was trained on"
            )
        return False
    if cfg.fake is None or cfg.real is None:
        missing = "fake" if cfg.fake is None else "real"
        raise ConfigError(
            f"{missing}=... is missing: fake=IMAGES real=IMAGES compares images made elsewhere, "
            "each a folder, zip, tar or FILE.npz; real=data data=NAME takes a named data set"
        )
    typed = Command.of(cfg).values
    for name in OF_RUNS:
        if name in typed:
            raise ConfigError(
                f"{name}={typed[name]}: belongs to a run, and fake=... is for images made "
                "elsewhere. Leave either out"
            )
    if (cfg.real == NAMED) != bool(cfg.data):
        raise ConfigError("real=data and data=NAME belong together; a folder called data is ./data")
    return True


def score_images(cfg: DictConfig, device: torch.device) -> dict[str, Result]:
    """Returns the scores of images that were generated outside ganforge.

    Args:
        cfg: composed from conf/evaluate.yaml.
        device: device for computing features.
    """
    scores = {name: build(node) for name, node in cfg.metrics.items()}
    _refuse_what_needs_a_run(scores)
    if given := given_statistics(cfg):
        return score_statistics(cfg, given, scores, device)
    sets = _against_data(cfg) if cfg.real == NAMED else _against_images(cfg)
    extractor = make_extractor(cfg, sets.real, device)
    scores = ready(cfg, scores, sets.real, extractor, device)
    reals = RealFeatures(sets.real, extractor, StatisticsCache())

    def sample(n: int, start: int) -> torch.Tensor:
        return sets.fake.reals(n, "train", start)[0]

    results = judge(cfg, sample, reals, scores, sets.n, sets.n_real, sets.split)
    for result in results.values():
        result.split = sets.published
        result.details |= sets.details
    return results


def _against_images(cfg: DictConfig) -> ImageSets:
    """Opens two sets of images, both given by path."""
    if cfg.split is not None:
        raise ConfigError(f"split={cfg.split}: real=... has no splits. Leave split out")
    sets = {key: open_images(cfg[key], key) for key in ("fake", "real")}
    size = common_size(sets, cfg.image_size)
    channels = 1 if all(given.grey for given in sets.values()) else 3
    span = share_span(sets)
    fake, real = (_domain(given, size, channels) for given in sets.values())
    n = _count(cfg, "n", "fake", fake.size())
    n_real = _count(cfg, "n_real" if cfg.n_real else "n", "real", real.size())
    return ImageSets(fake, real, "train", "all", n, n_real, _treatment(sets, size, span))


def _against_data(cfg: DictConfig) -> ImageSets:
    """Opens images given by path, and a named data set as reference."""
    data = build(cfg.data)
    if not isinstance(data, ImageDataModule) or mixture_of(data) is not None:
        raise ConfigError(
            f"real=data compares with images of one kind, and data={cfg.data.get('name')} has "
            "points of the plane, or pairs of images"
        )
    given = {"fake": open_images(cfg.fake, "fake")}
    size = common_size(given, cfg.image_size)
    if size != data.image_size:
        raise ConfigError(
            f"fake={cfg.fake} has images of {size}x{size}, and data={data.name} has "
            f"{data.image_size}x{data.image_size}: data.image_size={size} takes the real ones at "
            f"that size, image_size={data.image_size} resizes the others"
        )
    data.prepare_data()
    data.setup()
    span = share_span(given, data.set_span())
    fake = _domain(given["fake"], size, data.channels)
    split, n = cfg.split or "train", _count(cfg, "n", "fake", fake.size())
    return ImageSets(fake, data, split, split, n, cfg.n_real or n, _treatment(given, size, span))


def _domain(given: ExternalImages, size: int, channels: int) -> Domain:
    return Domain("given", {"train": given.source(size, channels)})


def _count(cfg: DictConfig, key: str, name: str, available: int) -> int:
    """Returns the number of images of a set to use: ``cfg[key]``, or all of them."""
    if cfg[key] is not None and cfg[key] > available:
        raise ConfigError(
            f"{key}={cfg[key]}: {name}={cfg[name]} holds {available} images. Leave {key} out for "
            "all of them"
        )
    return int(cfg[key] or available)


def _treatment(
    sets: dict[str, ExternalImages], size: int, span: Span | None
) -> dict[str, str | int | float]:
    """Returns the preprocessing applied before feature extraction, as part of the protocol."""
    changed = [key for key, given in sets.items() if given.sizes != {(size, size)}]
    resized = {"resized": f"{' and '.join(changed)}: central square, lanczos"} if changed else {}
    scaled = {} if span is None else {"range": str(span)}
    return {"image_size": size, **resized, **scaled}


def _refuse_what_needs_a_run(scores: dict[str, Score]) -> None:
    """Refuses scores that need more than images: pairs, labels or a generator."""
    pairs = pair_scores(scores)
    for name, score in scores.items():
        reason = ""
        if name in pairs:
            reason = "compares each translation with its target, and these images have no partners"
        elif score.needs_labels:
            reason = "compares with the classes asked for, and these images were asked for none"
        elif isinstance(score, PathScore):
            reason = "goes through the latent space of a generator, and there are images alone"
        if reason:
            raise ConfigError(f"metrics={name} {reason}. Leave it out of metrics=[...]")
