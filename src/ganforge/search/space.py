"""Dimensions of a search space: choices, integers and real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganforge.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    Value = str | int | float


@dataclass(frozen=True)
class Choice:
    """A choice between override values.

    Args:
        options: values as typed, such as ``("hinge", "minimax")`` or ``("[r1]", "[r1,r2]")``.
    """

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.options)) != len(self.options) or not self.options:
            raise ConfigError(
                f"choices must be different, and at least one, got {list(self.options)}"
            )

    def distribution(self) -> BaseDistribution:
        """Returns the equivalent Optuna distribution."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    def values(self) -> list[Value] | None:
        """Returns every value."""
        return list(self.options)


@dataclass(frozen=True)
class Whole:
    """An integer.

    Args:
        low: smallest value.
        high: largest value, included.
        step: distance between neighboring values.
        log: sample uniformly in the log domain; only with ``step`` 1.
    """

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        _check_limits(self.low, self.high, self.log)
        if self.log and self.step != 1:
            raise ConfigError(f"a logarithmic range must have steps of 1, got {self.step}")

    def distribution(self) -> BaseDistribution:
        """Returns the equivalent Optuna distribution."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def values(self) -> list[Value] | None:
        """Returns every value."""
        return list(range(self.low, self.high + 1, self.step))


@dataclass(frozen=True)
class Real:
    """A real number.

    Args:
        low: smallest value.
        high: largest value, included.
        step: distance between neighboring values; None for continuous values.
        log: sample uniformly in the log domain; only without ``step``.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        _check_limits(self.low, self.high, self.log)
        if self.log and self.step is not None:
            raise ConfigError(f"a logarithmic interval must have no steps, got step={self.step}")

    def distribution(self) -> BaseDistribution:
        """Returns the equivalent Optuna distribution."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def values(self) -> list[Value] | None:
        """Returns every value; None if the dimension is continuous."""
        if self.step is None:
            return None
        count = round((self.high - self.low) / self.step) + 1
        return [tidy(self.low + index * self.step) for index in range(count)]


Dimension = Choice | Whole | Real
Space = dict[str, Dimension]


def tidy(value: float) -> float:
    """Returns a value rounded to 12 significant digits: 0.3 for 0.30000000000000004."""
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
        raise ConfigError(f"a logarithmic interval must be above 0, got the lower limit {low}")
