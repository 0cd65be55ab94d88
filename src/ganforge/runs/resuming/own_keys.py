"""Applies typed overrides to a stored run configuration, and checks what follows its length."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ganforge.config.check import did_you_mean, root_keys
from ganforge.errors import ConfigError
from ganforge.runs.load import build
from ganforge.runs.past import flatten
from ganforge.runs.record import made_of
from ganforge.runs.stored.data_places import make_paths_absolute
from ganforge.runs.stored.settling import settle

log = logging.getLogger("ganforge")

LENGTH = "${trainer.max_"


def change(own: DictConfig, values: Mapping[str, Any], run: Path) -> None:
    """Applies typed values to a run's configuration, in place.

    Unknown constructor arguments are rejected later, when the whole configuration is checked.

    Args:
        own: the run's configuration.
        values: values by dotted key, with interpolations as typed.
        run: its folder, for messages.

    Raises:
        ConfigError: the run has no such key, or a value cannot be resolved.
    """
    missing = {key: _missing(own, key) for key in values}
    gone = {key for key, first in missing.items() if values[key] is None and first == key}
    gone = {key for key in gone if _is_without(own, key)}
    for key, value in values.items():
        if key in gone:  # ~callbacks.samples, already removed when the run was started
            continue
        OmegaConf.update(own, key, value, force_add=True)
    for key, first in missing.items():
        if first is not None and key not in gone and not _is_part(own, first):
            raise ConfigError(_unknown(own, key, first, run))
    settle(own)
    make_paths_absolute(own, Path.cwd())


def _missing(own: DictConfig, key: str) -> str | None:
    """Returns the shortest prefix of a key that the run does not have; None if it has the key."""
    node: Any = own
    words = key.split(".")
    for number, word in enumerate(words):
        if not isinstance(node, DictConfig) or word not in node:
            return ".".join(words[: number + 1])
        node = node[word]
    return None


def _is_without(own: DictConfig, key: str) -> bool:
    """Whether a removed key names a part that the run never had, and is not a misspelling."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(own, parent) if parent else None
    if not isinstance(node, DictConfig) or "_target_" in node:
        return False
    return not did_you_mean(name, [str(child) for child in node]).startswith("did you mean")


def _is_part(own: DictConfig, key: str) -> bool:
    """Whether a new key is a new part (+callbacks.x._target_=...), or an argument of a part."""
    words = key.split(".")
    if len(words) == 1:
        return key in root_keys("train")
    above = [OmegaConf.select(own, ".".join(words[:end])) for end in range(1, len(words) + 1)]
    return any(isinstance(node, DictConfig) and "_target_" in node for node in above)


def _unknown(own: DictConfig, key: str, first: str, run: Path) -> str:
    parent, _, name = first.rpartition(".")
    node = OmegaConf.select(own, parent) if parent else own
    present = [str(child) for child in node] if isinstance(node, DictConfig) else []
    legal = [child for child in present if not child.startswith("_") and child != name]
    legal = legal if parent else root_keys("train")
    return f"{key}: the run {run} has no key {first}; {did_you_mean(name, legal)}"


def changed_followers(before: DictConfig, now: DictConfig) -> dict[str, tuple[Any, Any]]:
    """Returns the settings that changed because they refer to the run's length, with both values.

    Args:
        before: the run's configuration.
        now: the same with the changes of a command.
    """
    keys = [key for key, value in flatten(made_of(now)) if LENGTH in str(value)]
    pairs = {key: (OmegaConf.select(before, key), OmegaConf.select(now, key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def refuse_endless(before: DictConfig, now: DictConfig) -> None:
    """Rejects a run of unlimited length if a setting depends on its length.

    Raises:
        ConfigError: naming the key and its previous value.
    """
    for key, (then, value) in changed_followers(before, now).items():
        if value in (-1, None):
            raise ConfigError(
                f"{key} is the length of the run, and trainer.max_steps={value} leaves none: "
                f"{key}={then} keeps what it was"
            )


def log_length_change(before: DictConfig, now: DictConfig, step: int) -> None:
    """Logs which settings change with the length of a run, and how to keep them.

    Args:
        before: the run's configuration.
        now: the same with the changes of a command.
        step: generator updates made so far.
    """
    for key, (then, value) in changed_followers(before, now).items():
        rates = _rates(before, now, step) if key.startswith("schedule.") else ""
        log.warning(
            "%s follows the length of the run: %s before, %s now%s. %s=%s keeps it",
            key,
            then,
            value,
            rates,
            key,
            then,
        )


def _rates(before: DictConfig, now: DictConfig, step: int) -> str:
    then, value = (build(cfg.schedule)(step) for cfg in (before, now))
    return f"; the learning rate factor at step {step} was {then:.3g} and becomes {value:.3g}"
