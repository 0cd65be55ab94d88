"""What a run does differently as a trial of a search."""

from __future__ import annotations

from lightning.pytorch import Callback
from omegaconf import DictConfig

from ganforge.errors import ConfigError
from ganforge.runs.load import build


def trial_callbacks(cfg: DictConfig) -> list[Callback]:
    """Returns what tells the search of this run; nothing for a run on its own.

    Raises:
        ConfigError: a sampler or a pruner without a search.
    """
    if not cfg.get("tune"):
        return []
    require_search(cfg)
    if cfg.tune.trial is None:
        return []
    from ganforge.search.trial_reports import TrialReports

    return [TrialReports(build(cfg.tune))]


def require_search(cfg: DictConfig) -> None:
    """Refuses sampler= and pruner= without tune=.

    Raises:
        ConfigError: saying what to type.
    """
    if "_target_" not in cfg.tune:
        raise ConfigError(
            "a search needs its tune=NAME, such as tune=learning_rates (sampler= and pruner= are "
            "parts of one)"
        )
