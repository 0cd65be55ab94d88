"""Samplers: how the values of the next trial are chosen. A new one is built for each trial.

The random numbers depend only on the sampler's seed and on the trial's number. A search that is
resumed, or shared by several workers, therefore never repeats the same draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ganforge.errors import ConfigError
from ganforge.search.space import Choice, Space
from ganforge.search.storage import require
from ganforge.streams import mix

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class SamplerFactory(Protocol):
    """Builds Optuna samplers. By default, it supports every space and any number of trials."""

    def check(self, space: Space) -> None:
        """Raises ConfigError if the sampler cannot search the space."""

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        ...

    def trials(self, space: Space) -> int | None:
        """Returns the number of trials that exhaust the space; None if it is infinite."""
        return None


@dataclass(frozen=True)
class TPE(SamplerFactory):
    """Tree-structured Parzen estimators (Bergstra et al. 2011; multivariate: arXiv 2304.11127).

    Supports any space and any number of objectives.

    Args:
        seed: seed of the random numbers.
        startup_trials: random trials before the estimators are fitted.
        multivariate: fit all parameters jointly instead of each alone.
        constant_liar: treat running trials as bad ones, so that parallel workers spread out.
    """

    seed: int = 0
    startup_trials: int = 10
    multivariate: bool = True
    constant_liar: bool = True

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        from optuna.samplers import TPESampler

        return TPESampler(
            n_startup_trials=self.startup_trials,
            multivariate=self.multivariate,
            constant_liar=self.constant_liar,
            seed=_seed(self.seed, number),
        )


@dataclass(frozen=True)
class Random(SamplerFactory):
    """Independent random draws (Bergstra and Bengio 2012).

    Args:
        seed: seed of the random numbers.
    """

    seed: int = 0

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=_seed(self.seed, number))


@dataclass(frozen=True)
class CMAES(SamplerFactory):
    """CMA-ES, covariance matrix adaptation (Hansen, arXiv 1604.00772), for two or more numbers.

    Args:
        seed: seed of the random numbers.
        startup_trials: random trials before CMA-ES starts.
        sigma: initial step size as a fraction of the smallest parameter range; None for 1/6.
        population: trials per generation; None derives it from the number of parameters.
    """

    seed: int = 0
    startup_trials: int = 1
    sigma: float | None = None
    population: int | None = None

    def check(self, space: Space) -> None:
        """Raises ConfigError for choices, which have no order, and for a single dimension."""
        choices = [key for key, dimension in space.items() if isinstance(dimension, Choice)]
        if choices or len(space) < 2:
            what = f"{', '.join(choices)} are choices" if choices else f"there are {len(space)}"
            raise ConfigError(
                f"sampler=cmaes needs two or more numbers (interval, range), but {what}; use "
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


@dataclass(frozen=True)
class Grid(SamplerFactory):
    """Every combination once, in random order.

    Args:
        seed: seed of the order.
    """

    seed: int = 0

    def check(self, space: Space) -> None:
        """Raises ConfigError for intervals, which have infinitely many values."""
        endless = [key for key, dimension in space.items() if dimension.values() is None]
        if endless:
            raise ConfigError(
                f"sampler=grid tries every value, but {', '.join(endless)} is continuous: use "
                "choice(...) or range(...), or sampler=random"
            )

    def build(self, space: Space, number: int) -> BaseSampler:
        """Returns the sampler of trial ``number``."""
        from ganforge.search.grid import GridSampler

        return GridSampler(space, self.seed)

    def trials(self, space: Space) -> int | None:
        """Returns the number of combinations."""
        return math.prod(len(dimension.values() or []) for dimension in space.values())


def _seed(seed: int, number: int) -> int:
    return mix(seed, number) % 2**32


def _width(dimension: object) -> float:
    low, high = getattr(dimension, "low", 0.0), getattr(dimension, "high", 1.0)
    return math.log(high / low) if getattr(dimension, "log", False) else high - low
