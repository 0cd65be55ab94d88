"""Pruners: rules for stopping unpromising trials early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from ganforge.errors import ConfigError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


class PrunerFactory(Protocol):
    """Builds an Optuna pruner."""

    prunes: ClassVar[bool] = True

    def build(self) -> BasePruner:
        """Returns the pruner."""
        ...


@dataclass(frozen=True)
class NoPruner(PrunerFactory):
    """Runs every trial to its end, or until it diverges or collapses."""

    prunes: ClassVar[bool] = False

    def build(self) -> BasePruner:
        """Returns the pruner."""
        from optuna.pruners import NopPruner

        return NopPruner()


@dataclass(frozen=True)
class ASHA(PrunerFactory):
    """Asynchronous successive halving (Li et al., arXiv 1810.05934).

    At ``min_steps``, ``min_steps * reduction``, ``min_steps * reduction**2`` ... updates, the best
    1 / ``reduction`` of the trials that reached that step continue.

    Args:
        min_steps: generator updates before the first decision. Choose it large enough that scores
            are no longer noise.
        reduction: one of this many trials continues.
        early_stopping_rate: number of initial decisions to skip.
    """

    min_steps: int = 1000
    reduction: int = 3
    early_stopping_rate: int = 0

    def __post_init__(self) -> None:
        _check_least(self, min_steps=1, reduction=2, early_stopping_rate=0)

    def build(self) -> BasePruner:
        """Returns the pruner."""
        from optuna.pruners import SuccessiveHalvingPruner

        return SuccessiveHalvingPruner(
            min_resource=self.min_steps,
            reduction_factor=self.reduction,
            min_early_stopping_rate=self.early_stopping_rate,
        )


@dataclass(frozen=True)
class Median(PrunerFactory):
    """Prunes a trial whose best score so far is worse than the median at the same step.

    Golovin et al., Google Vizier, 2017.

    Args:
        startup_trials: finished trials before the first decision.
        warmup_steps: generator updates of a trial before the first decision.
        interval_steps: generator updates between decisions.
        min_trials: trials that must have reached a step before any trial is pruned there.
    """

    startup_trials: int = 5
    warmup_steps: int = 1000
    interval_steps: int = 1
    min_trials: int = 1

    def __post_init__(self) -> None:
        _check_least(self, startup_trials=0, warmup_steps=0, interval_steps=1, min_trials=1)

    def build(self) -> BasePruner:
        """Returns the pruner."""
        from optuna.pruners import MedianPruner

        return MedianPruner(
            n_startup_trials=self.startup_trials,
            n_warmup_steps=self.warmup_steps,
            interval_steps=self.interval_steps,
            n_min_trials=self.min_trials,
        )


def _check_least(pruner: PrunerFactory, **least: int) -> None:
    for name, limit in least.items():
        if (value := getattr(pruner, name)) < limit:
            raise ConfigError(f"tune.pruner.{name} must be at least {limit}, got {value}")
