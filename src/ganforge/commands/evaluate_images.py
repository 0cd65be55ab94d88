from __future__ import annotations

from dataclasses import dataclass

import torch
from omegaconf import DictConfig

from ganforge.commands.evaluate_statistics import read_given, score_statistics
from ganforge.commands.scoring import compute_scores, make_extractor, ready
from ganforge.config.command import Command
from ganforge.data.files.external import ExternalImages, common_size, open_images, share_span
from ganforge.data.files.value_range import Span
from ganforge.data.module import ImageDataModule
from ganforge.data.reals import Domain
from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import Result
from ganforge.metrics.features.points import mixture_of
from ganforge.metrics.pairs.score import pair_scores
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.scores.score import PathScore, Score
from ganforge.metrics.source import ImageSource
from ganforge.runs.load import build

RUN_OPTIONS = ("run", "checkpoint", "weights", "truncation", "labels")  # options of runs only
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


def takes_images(cfg: DictConfig) -> bool:
    """Returns whether to evaluate external images instead of a run.

    Raises:
        ConfigError: if only one of fake= and real= is given, or options of runs are mixed in.
    """
    if cfg.fake is None and cfg.real is None:
        if cfg.image_size:
            raise ConfigError(
                "image_size=... is for external images: fake=IMAGES real=data data=NAME. "
                "A run is compared with the data that it was trained on"
            )
        return False
    if cfg.fake is None or cfg.real is None:
        missing = "fake" if cfg.fake is None else "real"
        raise ConfigError(
            f"{missing}=... is missing: fake=IMAGES real=IMAGES compares external images, each a "
            "folder, zip, tar or FILE.npz; real=data data=NAME uses a named data set"
        )
    typed = Command.of(cfg).values
    for name in RUN_OPTIONS:
        if name in typed:
            raise ConfigError(
                f"{name}={typed[name]}: applies to a run, but fake=... is for external images. "
                "Leave one of them out"
            )
    if (cfg.real == NAMED) != bool(cfg.data):
        raise ConfigError("real=data needs data=NAME and vice versa; a folder named data is ./data")
    return True


def score_images(cfg: DictConfig, device: torch.device) -> dict[str, Result]:
    """Returns the scores of images that were generated outside ganforge."""
    scores = {name: build(node) for name, node in cfg.metrics.items()}
    _check_scores(scores)
    if statistics := read_given(cfg):
        return score_statistics(cfg, statistics, scores, device)
    sets = _against_data(cfg) if cfg.real == NAMED else _against_images(cfg)
    extractor = make_extractor(cfg, sets.real, device)
    scores = ready(cfg, scores, sets.real, extractor, device)
    reals = RealFeatures(sets.real, extractor, StatisticsCache())

    def sample(n: int, start: int) -> torch.Tensor:
        return sets.fake.reals(n, "train", start)[0]

    results = compute_scores(cfg, sample, reals, scores, sets.n, sets.n_real, sets.split)
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
    channels = 1 if all(images.grey for images in sets.values()) else 3
    span = share_span(sets)
    fake, real = (_domain(images, size, channels) for images in sets.values())
    n = _count(cfg, "n", "fake", fake.size())
    n_real = _count(cfg, "n_real" if cfg.n_real else "n", "real", real.size())
    return ImageSets(fake, real, "train", "all", n, n_real, _treatment(sets, size, span))


def _against_data(cfg: DictConfig) -> ImageSets:
    """Opens images given by path, and a named data set as reference."""
    data = build(cfg.data)
    if not isinstance(data, ImageDataModule) or mixture_of(data) is not None:
        raise ConfigError(
            f"real=data needs a data set of images, but data={cfg.data.get('name')} has 2D points "
            "or pairs of images"
        )
    external = {"fake": open_images(cfg.fake, "fake")}
    size = common_size(external, cfg.image_size)
    if size != data.image_size:
        raise ConfigError(
            f"fake={cfg.fake} has images of {size}x{size}, but data={data.name} has "
            f"{data.image_size}x{data.image_size}: data.image_size={size} loads the real images at "
            f"that size, image_size={data.image_size} resizes the fake ones"
        )
    data.prepare_data()
    data.setup()
    span = share_span(external, data.set_span())
    fake = _domain(external["fake"], size, data.channels)
    split, n = cfg.split or "train", _count(cfg, "n", "fake", fake.size())
    return ImageSets(fake, data, split, split, n, cfg.n_real or n, _treatment(external, size, span))


def _domain(images: ExternalImages, size: int, channels: int) -> Domain:
    return Domain("given", {"train": images.source(size, channels)})


def _count(cfg: DictConfig, key: str, name: str, available: int) -> int:
    """Returns the number of images of a set to use: ``cfg[key]``, or all of them."""
    if cfg[key] is not None and cfg[key] > available:
        raise ConfigError(
            f"{key}={cfg[key]}: {name}={cfg[name]} has {available} images. Leave {key} out to "
            "use all"
        )
    return int(cfg[key] or available)


def _treatment(
    sets: dict[str, ExternalImages], size: int, span: Span | None
) -> dict[str, str | int | float]:
    """Returns the preprocessing applied before feature extraction, as part of the protocol."""
    changed = [key for key, images in sets.items() if images.sizes != {(size, size)}]
    resized = {"resized": f"{' and '.join(changed)}: central square, lanczos"} if changed else {}
    scaled = {} if span is None else {"range": str(span)}
    return {"image_size": size, **resized, **scaled}


def _check_scores(scores: dict[str, Score]) -> None:
    """Refuses scores that need more than images: pairs, labels or a generator."""
    pairs = pair_scores(scores)
    for name, score in scores.items():
        reason = ""
        if name in pairs:
            reason = "compares each translation with its target, but these images have no targets"
        elif "labels" in score.needs:
            reason = "compares with requested classes, but external images have none"
        elif isinstance(score, PathScore):
            reason = "needs the latent space of a generator, but there are only images"
        if reason:
            raise ConfigError(f"metrics={name} {reason}. Leave it out of metrics=[...]")
