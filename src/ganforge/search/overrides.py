"""Parses the search space from overrides in Hydra's sweep syntax."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from ganforge.errors import ConfigError
from ganforge.search.space import Choice, Dimension, Real, Space, Whole, text_of, tidy

TAGS = {"log"}
RESERVED = ("resume", "run_dir", "dry_run", "tune", "sampler", "pruner")
EXAMPLES = "choice(a,b), range(1,10), interval(0.1,1) or tag(log,interval(1e-5,1e-2))"


@dataclass(frozen=True)
class SearchPlan:
    """The parsed command line of a search.

    Attributes:
        fixed: overrides shared by all trials.
        space: dimensions that the trials vary.
    """

    fixed: list[str]
    space: Space

    def probes(self) -> list[tuple[str, ...]]:
        """Returns test combinations: each value once, with the other dimensions at their first.

        Numeric dimensions are represented by their limits.
        """
        first = {key: _ends(dimension)[0] for key, dimension in self.space.items()}
        probes = [first]
        for key, dimension in self.space.items():
            probes += [first | {key: value} for value in _ends(dimension)[1:]]
        return [tuple(f"{key}={value}" for key, value in probe.items()) for probe in probes]


def read_plan(space: dict[str, str], typed: list[str], parser: OverridesParser) -> SearchPlan:
    """Returns the fixed overrides and the search space; typed overrides replace ``tune.space``.

    Args:
        space: ``tune.space``: override values by key.
        typed: overrides of the command line, without ``resume=``.
        parser: parses overrides and expands ``glob(...)``.

    Raises:
        ConfigError: if a value cannot be parsed or searched, or there is nothing to search.
    """
    fixed: list[str] = []
    dimensions: Space = {}
    defaults = [_parse(parser, f"{key}={value}") for key, value in space.items()]
    own = [_parse(parser, override) for override in typed]
    keys = {override.get_key_element() for override in own}
    for override in [one for one in defaults if one.get_key_element() not in keys] + own:
        key = override.get_key_element()
        if override.is_sweep_override():
            _refuse_reserved(key, override)
            dimensions[key] = _dimension(override)
        else:
            dimensions.pop(key, None)
            fixed.append(str(override.input_line))
    if not dimensions:
        raise ConfigError(f"nothing to search: tune.space or an override must contain {EXAMPLES}")
    return SearchPlan(fixed, dimensions)


def _parse(parser: OverridesParser, text: str) -> Override:
    try:
        return parser.parse_override(text)
    except HydraException as error:
        reason = str(error).splitlines()[0]
        message = f"{text}: not a valid override ({reason}); a search accepts {EXAMPLES}"
        raise ConfigError(message) from error


def _refuse_reserved(key: str, override: Override) -> None:
    root = key.lstrip("+~").partition(".")[0].partition("@")[0]
    if root in RESERVED or root == "hydra":
        raise ConfigError(f"{override.input_line}: a search sets {root} for its trials itself")


def _dimension(override: Override) -> Dimension:
    sweep = override.value()
    tags = set(getattr(sweep, "tags", ()))
    if tags - TAGS:
        raise ConfigError(
            f"{override.input_line}: tag(...) must be one of {', '.join(TAGS)}, got "
            f"{', '.join(sorted(tags - TAGS))}"
        )
    try:
        if isinstance(sweep, IntervalSweep):
            return _interval(sweep)
        if isinstance(sweep, RangeSweep):
            return _range(sweep)
        if tags:
            raise ConfigError("choices have no order: tag(log, ...) needs an interval or a range")
        return Choice(tuple(str(value) for value in override.sweep_string_iterator()))
    except ConfigError as error:
        raise ConfigError(f"{override.input_line}: {error}") from error


def _interval(sweep: IntervalSweep) -> Dimension:
    """Returns a real dimension; for ``int(interval(1,10))`` an integer one, limits included."""
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    assert low is not None
    assert high is not None
    if isinstance(low, int) and isinstance(high, int):
        return Whole(low, high, log=log)
    return Real(float(low), float(high), log=log)


def _range(sweep: RangeSweep) -> Dimension:
    """Returns the dimension of a range; as in Python, the end is excluded."""
    assert sweep.start is not None
    assert sweep.stop is not None
    # Hydra adds up the steps: rounding errors accumulate, and its last value may pass the end.
    steps = (float(sweep.stop) - float(sweep.start)) / float(sweep.step)
    ends = [float(sweep.start), tidy(float(sweep.start) + _last(steps) * float(sweep.step))]
    step, log = abs(float(sweep.step)), "log" in sweep.tags
    if all(isinstance(limit, int) for limit in (sweep.start, sweep.stop, sweep.step)):
        return Whole(int(min(ends)), int(max(ends)), int(step), log)
    return Real(min(ends), max(ends), step, log)


def _last(steps: float) -> int:
    """Returns the number of steps to a range's last value.

    Raises:
        ConfigError: if the range has fewer than two values.
    """
    last = math.ceil(tidy(steps)) - 1
    if last < 1:
        raise ConfigError("a range must contain at least two values")
    return last


def _ends(dimension: Dimension) -> list[str]:
    if isinstance(dimension, Choice):
        return list(dimension.options)
    return [text_of(dimension, dimension.low), text_of(dimension, dimension.high)]
