"""Settings that depend on a run's length, such as a learning rate that decays over the run."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ganforge.errors import ConfigError
from ganforge.runs.load import build
from ganforge.runs.past import flatten
from ganforge.runs.record import made_of

log = logging.getLogger("ganforge")

LENGTH = "${trainer.max_"


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
    factors = [build(cfg.schedule)(step) for cfg in (before, now)]
    return f"; the factor on learning rates at step {step} becomes {factors[1]:.3g}, and was " + (
        f"{factors[0]:.3g}"
    )
