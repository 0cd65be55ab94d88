"""Configurations shrunk until a training step takes milliseconds."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from omegaconf import DictConfig

from ganforge.composition import compose_config
from ganforge.models.adversarial import AdversarialModule
from ganforge.training import Parts, build_parts, make_trainer

DATA = [
    "data=fake",
    "data.size=24",
    "data.batch_size=4",
    "data.image_size=16",
    "data.channels=1",
]
TRAINER = ["trainer=cpu", "trainer.precision=32-true", "trainer.log_every_n_steps=1"]
QUIET = ["metrics=[]", "~callbacks.samples", "~callbacks.progress", "logger=csv"]


def tiny(*overrides: str) -> DictConfig:
    """Composes a configuration of tiny networks on a few fake images."""
    return shrunk(compose_config([*DATA, *TRAINER, *QUIET, *overrides]))


def shrunk(cfg: DictConfig) -> DictConfig:
    """Narrows the networks of a configuration, whatever their kind."""
    for player in cfg.network.values():
        for key, value in {"width": 2, "max_width": 4, "hidden": [8]}.items():
            if key in player:
                player[key] = value
    return cfg


def take_steps(cfg: DictConfig, steps: int, root: Path) -> Parts:
    """Trains for real, without a run folder."""
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
