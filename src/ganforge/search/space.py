"""What a search varies: choices, whole numbers and real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganforge.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    Value = str | int | float


@dataclass(frozen=True)
class Choice:
    """One of several overrides' values.

    Args:
        options: as they are typed, such as ``("hinge", "minimax")`` or ``("[r1]", "[r1,r2]")``.
    """

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.options)) != len(self.options) or not self.options:
            raise ConfigError(f"choices must be some and all different, got {list(self.options)}")

    def distribution(self) -> BaseDistribution:
        """Returns Optuna's counterpart."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    def values(self) -> list[Value] | None:
        """Returns every value."""
        return list(self.options)


@dataclass(frozen=True)
class Whole:
    """A whole number.

    Args:
        low: the least.
        high: the greatest, included.
        step: between neighbours.
        log: the logarithm is drawn evenly; only with steps of 1.
    """

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        _check_limits(self.low, self.high, self.log)
        if self.log and self.step != 1:
            raise ConfigError(f"a logarithmic range has steps of 1, got {self.step}")

    def distribution(self) -> BaseDistribution:
        """Returns Optuna's counterpart."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def values(self) -> list[Value] | None:
        """Returns every value."""
        return list(range(self.low, self.high + 1, self.step))


@dataclass(frozen=True)
class Real:
    """A real number.

    Args:
        low: the least.
        high: the greatest, included.
        step: between neighbours; None for any number.
        log: the logarithm is drawn evenly; only without steps.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        _check_limits(self.low, self.high, self.log)
        if self.log and self.step is not None:
            raise ConfigError(f"a logarithmic interval has no steps, got step={self.step}")

    def distribution(self) -> BaseDistribution:
        """Returns Optuna's counterpart."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def values(self) -> list[Value] | None:
        """Returns every value; None where they can't be counted."""
        if self.step is None:
            return None
        count = round((self.high - self.low) / self.step) + 1
        return [tidy(self.low + place * self.step) for place in range(count)]


Dimension = Choice | Whole | Real
Space = dict[str, Dimension]


def tidy(value: float) -> float:
    """Returns 0.3 for 0.30000000000000004: what steps add up to."""
    return float(f"{value:.12g}")


def text_of(dimension: Dimension, value: Value) -> str:
    """Returns a value as it is typed on the command line."""
    if isinstance(dimension, Real):
        return repr(float(value) if dimension.step is None else tidy(float(value)))
    return str(value)


def _check_limits(low: float, high: float, log: bool) -> None:
    if not low < high:
        raise ConfigError(f"the lower limit must be below the upper one, got {low} and {high}")
    if log and low <= 0:
        raise ConfigError(f"a logarithmic interval lies above 0, got {low} as its lower limit")
