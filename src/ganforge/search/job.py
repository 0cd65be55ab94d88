"""Callbacks and checks for a run that is a trial of a search."""

from __future__ import annotations

from lightning.pytorch import Callback
from omegaconf import DictConfig

from ganforge.errors import ConfigError
from ganforge.runs.load import build


def trial_callbacks(cfg: DictConfig) -> list[Callback]:
    """Returns the callback that reports this run to its search; empty outside a search.

    Raises:
        ConfigError: if a sampler or a pruner is set without a search.
    """
    if not cfg.get("tune"):
        return []
    require_search(cfg)
    if cfg.tune.trial is None:
        return []
    from ganforge.search.trial_reports import TrialReports

    return [TrialReports(build(cfg.tune))]


def require_search(cfg: DictConfig) -> None:
    """Checks that sampler= and pruner= are used with tune= only.

    Raises:
        ConfigError: if no search is configured.
    """
    if "_target_" not in cfg.tune:
        raise ConfigError(
            "a search needs tune=NAME, such as tune=learning_rates (sampler= and pruner= are parts "
            "of a search)"
        )
