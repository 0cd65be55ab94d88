"""Builds the cheap parts of each job before a sweep starts, so that they check their arguments."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from ganforge.errors import ConfigError
from ganforge.runs.load import build
from ganforge.runs.stored.trust import is_own, targets

# Networks are left out because initializing them takes seconds; so is everything that needs data.
GROUPS = ("loss", "regularizer", "augment", "schedule")
OPTIMIZERS = "optimizer"


def check_parts(cfg: DictConfig, sound: set[str]) -> None:
    """Builds the loss, regularizers, augmentation, schedules and optimizers of a configuration.

    Args:
        cfg: configuration of a job, composed and checked.
        sound: the parts, as text, that earlier jobs have built; updated with the parts of this job.

    Raises:
        ConfigError: if a part rejects its arguments.
    """
    for group in (*GROUPS, OPTIMIZERS):
        node: Any = cfg.get(group)
        if not isinstance(node, DictConfig):
            continue
        plain = OmegaConf.to_container(node, resolve=True)
        text = f"{group}: {plain}"
        # A part of the user's own may need the job's machine.
        if text in sound or not all(is_own(target) for _, target in targets(plain)):
            continue
        try:
            _build(group, plain)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{group}: {error}") from error
        sound.add(text)


def _build(group: str, plain: Any) -> None:
    built = build(plain)
    if group == OPTIMIZERS:
        for make in filter(None, built.values()):
            make([torch.nn.Parameter(torch.zeros(2, 2))])  # some take matrices only
