"""Objectives of a search: scores and numbers of a run's summary to minimize or maximize."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ganforge.config.check import did_you_mean
from ganforge.errors import ConfigError

DIRECTIONS = ("minimize", "maximize")


class ObjectiveError(ConfigError):
    """Raised for an objective that no trial can have; it ends the search."""


def value_of(summary: Mapping[str, Any], name: str, direction: str, best: bool) -> float | None:
    """Returns an objective's value of a run; None if it is not finite or not measured.

    Args:
        summary: content of summary.json.
        name: a score as in ``metrics`` (``fid_classifier``), its option name (``fid``), or a
            top-level number (``seconds``).
        direction: "minimize" or "maximize".
        best: for a score, whether to use the best evaluation instead of the last one; evaluations
            at step 0 are ignored.

    Raises:
        ObjectiveError: if the summary has no such number.
    """
    score = score_named(name, list(summary.get("metrics") or {}))
    if score is None:
        return _number(_top(summary, name))
    points = [p for p in summary.get("history", []) if p.get("step") and score in p]
    last = summary["metrics"][score].get("value")
    values = [_number(point[score]) for point in points] if best else [_number(last)]
    finite = [value for value in values if value is not None]
    if not finite:
        return None
    return min(finite) if direction == "minimize" else max(finite)


def score_named(name: str, scores: list[str]) -> str | None:
    """Returns the score named ``name``, or else the only one that starts with ``name_``.

    Published names include the feature extractor: ``fid`` is ``fid_classifier`` in one run and
    ``fid_inception`` in another.
    """
    if name in scores:
        return name
    longer = [score for score in scores if score.startswith(f"{name}_")]
    return longer[0] if len(longer) == 1 else None


def names(summary: Mapping[str, Any]) -> list[str]:
    """Returns the legal objectives: scores, then top-level numbers of a summary."""
    numbers = [
        key
        for key, value in summary.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key != "seed"
    ]
    return [*(summary.get("metrics") or {}), *numbers]


def check_directions(objectives: Mapping[str, str]) -> None:
    """Checks that there are objectives and that each has a valid direction.

    Raises:
        ConfigError: listing the legal directions.
    """
    if not objectives:
        raise ConfigError("tune.objectives is empty: name a score, such as {fid: minimize}")
    for name, direction in objectives.items():
        if direction not in DIRECTIONS:
            raise ConfigError(
                f"tune.objectives.{name} must be one of {', '.join(DIRECTIONS)}, got {direction!r}"
            )


def _top(summary: Mapping[str, Any], name: str) -> Any:
    legal = names(summary)
    if name not in legal:
        if name in summary and summary[name] is None:
            return None
        raise ObjectiveError(f"tune.objectives.{name}: no such number; {did_you_mean(name, legal)}")
    return summary[name]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
