"""Expands a sweep's command line into its jobs, in order, before any config is composed."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep

from ganforge.errors import ConfigError

MOST_JOBS = 10_000  # per sweep: each has a folder and is composed before the first one starts
LIMIT_VARIABLE = "GANFORGE_MAX_JOBS"


@dataclass(frozen=True)
class Plan:
    """The overrides of one job of a sweep.

    Attributes:
        overrides: all overrides of the job.
        swept: the overrides that differ between the jobs.
    """

    overrides: tuple[str, ...]
    swept: tuple[str, ...]


def split_resume(arguments: list[str], parser: OverridesParser) -> tuple[list[str], str | None]:
    """Returns the typed overrides without ``resume=``, and the value of ``resume``.

    Raises:
        ConfigError: if ``run_dir`` is set or ``resume`` has several values.
    """
    resume, typed = None, []
    for override in parser.parse_overrides(arguments):
        if override.key_or_group == "run_dir":
            raise ConfigError(
                "run_dir is set by a sweep for its jobs; hydra.sweep.dir=DIR sets the folder of all"
            )
        if override.key_or_group != "resume" or override.is_delete():
            typed.append(str(override.input_line))
        elif override.is_sweep_override():
            raise ConfigError(
                f"{override.input_line}: a sweep resumes a single sweep; legal with -m: "
                "auto, latest, or the folder of a sweep"
            )
        else:
            resume = None if override.value() is None else str(override.value())
    return typed, resume


def plan_grid(typed: list[str], parser: OverridesParser) -> list[Plan]:
    """Returns one job per combination of values; the last key varies fastest.

    Args:
        typed: overrides; if a key appears more than once, its last override is used.
        parser: expands ``glob(...)``.

    Raises:
        ConfigError: if values are not discrete, jobs are identical, or there are too many jobs.
    """
    choices: dict[str, list[str]] = {}
    swept: dict[str, bool] = {}
    for override in parser.parse_overrides(typed):
        key = override.get_key_element()
        choices[key], swept[key] = _values(override), override.is_sweep_override()
    _refuse_many(math.prod(len(values) for values in choices.values()))
    plans = []
    for values in itertools.product(*choices.values()):
        varied = tuple(v for v, varies in zip(values, swept.values(), strict=True) if varies)
        plans.append(Plan(values, varied))
    _refuse_duplicates(plans)
    return plans


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: a grid needs discrete values, such as 1,2,3, "
            "choice(a,b), range(1,4) or glob(*)"
        )
    key, sweep, limit = override.get_key_element(), override.value(), _limit()
    if isinstance(sweep, RangeSweep):  # counted first: Hydra expands a shuffled range completely
        assert sweep.start is not None
        assert sweep.stop is not None
        _refuse_many(int((float(sweep.stop) - float(sweep.start)) / float(sweep.step)))
    values = itertools.islice(override.sweep_string_iterator(), limit + 1)
    return [f"{key}={value}" for value in values]


def _refuse_many(jobs: int) -> None:
    if jobs > (limit := _limit()):
        raise ConfigError(
            f"a sweep of at least {jobs:,} jobs: the limit is {limit:,}. The environment variable "
            f"{LIMIT_VARIABLE}=N raises it"
        )


def _limit() -> int:
    text = os.environ.get(LIMIT_VARIABLE, "")
    if text and not text.isdecimal():
        raise ConfigError(f"{LIMIT_VARIABLE} must be a whole number, got {text!r}")
    return int(text or MOST_JOBS)


def _refuse_duplicates(plans: list[Plan]) -> None:
    first: dict[tuple[str, ...], int] = {}
    for number, plan in enumerate(plans):
        if plan.swept in first:
            raise ConfigError(
                f"jobs {first[plan.swept]} and {number} of the sweep are the same: "
                f"{' '.join(plan.swept)}. List each value once"
            )
        first[plan.swept] = number
