"""Configurations shrunk until a training step takes milliseconds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from ganforge.config.compose import compose_config, options
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.paths import conf_dir
from ganforge.runs.build import Parts, build_parts
from ganforge.runs.trainer import make_trainer

DATA = [
    "data=fake",
    "data.size=24",
    "data.batch_size=4",
    "data.image_size=16",
    "data.channels=1",
]
TRANSLATED = [
    "data=photos_paired",
    "data.scale=0.25",
    "data.image_size=32",
    "data.input_channels=3",
    "data.batch_size=4",
    "data.max_images=24",
]
TRAINER = ["trainer=cpu", "trainer.precision=32-true", "trainer.log_every_n_steps=1"]
QUIET = ["metrics=[]", "~callbacks.samples", "~callbacks.progress", "logger=csv"]


def tiny(*overrides: str) -> DictConfig:
    """Composes a configuration of tiny networks on a few fake images."""
    data = TRANSLATED if translates(overrides) else DATA
    if data is TRANSLATED and any(o.startswith("data=") for o in overrides):
        data = ["data.image_size=32", "data.batch_size=4"]
    return shrunk(compose_config([*data, *TRAINER, *QUIET, *overrides]))


def shrunk(cfg: DictConfig) -> DictConfig:
    """Reduces the widths of all networks of a configuration."""
    for player in cfg.network.values():
        _narrow(player)
    return cfg


def translates(overrides: Iterable[str]) -> bool:
    """Whether the overrides select an image-to-image model."""
    return bool({f"model={name}" for name in translation_models()} & set(overrides))


@cache
def translation_models() -> list[str]:
    """Returns the image-to-image models."""
    return [name for name in options("model") if _needs_inputs(name)]


@cache
def noise_models() -> list[str]:
    """Returns the models that generate images from latents."""
    return [name for name in options("model") if name not in translation_models()]


def _needs_inputs(name: str) -> bool:
    target = OmegaConf.load(conf_dir() / "model" / f"{name}.yaml").model._target_
    return "inputs" in get_object(target).needs


def _narrow(part: DictConfig) -> None:
    for key, value in {"width": 2, "max_width": 4, "hidden": [8], "blocks": 1}.items():
        if key in part and not OmegaConf.is_interpolation(part, key):
            part[key] = value
    for name in ("forth", "target"):  # the player's other half interpolates these
        if name in part:
            _narrow(part[name])


def take_steps(cfg: DictConfig, steps: int, root: Path) -> Parts:
    """Trains with Lightning, without a run folder."""
    cfg.trainer.max_steps = steps
    parts = build_parts(cfg)
    trainer = make_trainer(parts, None, [], root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(parts.model, parts.data)
    return parts


def weights(module: AdversarialModule, player: str) -> torch.Tensor:
    """Returns all weights of a player as one vector."""
    parameters = getattr(module, player).parameters()
    return torch.cat([p.detach().flatten() for p in parameters])
