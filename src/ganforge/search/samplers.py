"""How the next trial's values are chosen. Each is made anew for each trial: nothing is kept here.

A sampler's draws are a function of its seed and of the trial's number, so that a search that is
resumed, or shared by several workers, never draws the same values again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ganforge.errors import ConfigError
from ganforge.search.optuna_extra import require
from ganforge.search.space import Choice, Space
from ganforge.streams import mix

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class SamplerFactory(Protocol):
    """What makes Optuna's samplers."""

    def check(self, space: Space) -> None:
        """Refuses a space that it can't search."""
        ...

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        ...

    def trials(self, space: Space) -> int | None:
        """Returns after how many trials there is nothing left to try; None for never."""
        ...


@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimators (Bergstra et al. 2011; multivariate: arXiv 2304.11127).

    Takes any space and any number of objectives.

    Args:
        seed: of its draws.
        startup_trials: drawn at random before the estimators are fitted.
        multivariate: fit parameters together rather than each alone.
        constant_liar: take running trials for bad ones, so that parallel workers spread out.
    """

    seed: int = 0
    startup_trials: int = 10
    multivariate: bool = True
    constant_liar: bool = True

    def check(self, space: Space) -> None:
        """Takes every space."""

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        from optuna.samplers import TPESampler

        return TPESampler(
            n_startup_trials=self.startup_trials,
            multivariate=self.multivariate,
            constant_liar=self.constant_liar,
            seed=_seed(self.seed, number),
        )

    def trials(self, space: Space) -> int | None:
        """Goes on for ever."""
        return None


@dataclass(frozen=True)
class Random:
    """Independent draws (Bergstra and Bengio 2012).

    Args:
        seed: of its draws.
    """

    seed: int = 0

    def check(self, space: Space) -> None:
        """Takes every space."""

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=_seed(self.seed, number))

    def trials(self, space: Space) -> int | None:
        """Goes on for ever."""
        return None


@dataclass(frozen=True)
class CMAES:
    """Covariance matrix adaptation (Hansen, arXiv 1604.00772), for two numbers or more.

    Args:
        seed: of its draws.
        startup_trials: drawn at random before it begins.
        sigma: initial step, a share of each parameter's range; None for 1/6.
        population: trials of a generation; None lets the number of parameters decide.
    """

    seed: int = 0
    startup_trials: int = 1
    sigma: float | None = None
    population: int | None = None

    def check(self, space: Space) -> None:
        """Refuses choices, which have no order, and a single number."""
        choices = [key for key, dimension in space.items() if isinstance(dimension, Choice)]
        if choices or len(space) < 2:
            what = f"{', '.join(choices)} are choices" if choices else f"there are {len(space)}"
            raise ConfigError(
                f"sampler=cmaes searches two numbers or more (interval, range), and {what}; take "
                "sampler=tpe or sampler=random"
            )

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        from optuna.samplers import CmaEsSampler

        require("cmaes", reason="sampler=cmaes")
        widths = [_width(dimension) for dimension in space.values()]
        return CmaEsSampler(
            n_startup_trials=self.startup_trials,
            sigma0=None if self.sigma is None else self.sigma * min(widths),
            popsize=self.population,
            seed=_seed(self.seed, number),
            warn_independent_sampling=False,
        )

    def trials(self, space: Space) -> int | None:
        """Goes on for ever."""
        return None


@dataclass(frozen=True)
class Grid:
    """Every combination once, in a random order.

    Args:
        seed: of the order.
    """

    seed: int = 0

    def check(self, space: Space) -> None:
        """Refuses intervals, which have no last value."""
        endless = [key for key, dimension in space.items() if dimension.values() is None]
        if endless:
            raise ConfigError(
                f"sampler=grid tries every value, and {', '.join(endless)} has too many: give "
                "choice(...) or range(...), or take sampler=random"
            )

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        from ganforge.search.grid import grid_sampler

        return grid_sampler(space, self.seed)

    def trials(self, space: Space) -> int | None:
        """Returns the number of combinations."""
        return math.prod(len(dimension.values() or []) for dimension in space.values())


def _seed(seed: int, number: int) -> int:
    return mix(seed, number) % 2**32


def _width(dimension: object) -> float:
    low, high = getattr(dimension, "low", 0.0), getattr(dimension, "high", 1.0)
    return math.log(high / low) if getattr(dimension, "log", False) else high - low
