"""Reading a run's summary.json, which may be damaged: only values of the right type are kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganforge.errors import RunError
from ganforge.regular_files import read_json

NAME = "summary.json"
LARGEST = 10**300  # larger integers may not convert to float


def read_summary(run: Path) -> tuple[dict[str, Any], str]:
    """Returns the summary of a run folder, and a description of its fault ("" if there is none).

    Values of a wrong type are left out. A missing summary is empty, and not a fault.
    """
    path = run / NAME
    try:
        stored = read_json(path)
    except FileNotFoundError:
        return {}, ""
    except RunError as error:
        return {}, str(error)
    if not isinstance(stored, dict):
        return {}, f"{path}: damaged (it contains no mapping)"
    sound = {key: value for key, value in stored.items() if _is_sound(key, value)}
    wrong = ", ".join(sorted(stored.keys() - sound.keys()))
    return sound, f"{path}: damaged (values of another type: {wrong})" if wrong else ""


def _is_number(value: Any) -> bool:
    # bool is a subclass of int.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    return -LARGEST < value < LARGEST if isinstance(value, int) else math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _are_scores(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_score, value.values()))


def _is_score(value: Any) -> bool:
    numbers = ("value", "std", "step", "images_seen")
    return isinstance(value, dict) and all(
        value.get(k) is None or _is_number(value[k]) for k in numbers
    )


def _are_points(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_point, value))


def _is_point(value: Any) -> bool:
    return isinstance(value, dict) and all(v is None or _is_number(v) for v in value.values())


_SOUND: dict[str, type | Callable[[Any], bool]] = {
    **dict.fromkeys(("step", "images_seen"), _is_count),
    **dict.fromkeys(("seconds", "images_per_second"), _is_number),
    **dict.fromkeys(("metrics", "best"), _are_scores),
    **dict.fromkeys(("parameters", "versions"), dict),
    **dict.fromkeys(("status", "error", "error_kind", "checkpoint", "run", "command"), str),
    **dict.fromkeys(("model", "data", "device"), str),
    "history": _are_points,
}
_NEVER_NULL = ("metrics", "best", "history", "parameters", "versions")


def _is_sound(key: str, value: Any) -> bool:
    if value is None:
        return key not in _NEVER_NULL
    sound = _SOUND.get(key, object)
    return isinstance(value, sound) if isinstance(sound, type) else sound(value)


def best_of(summary: dict[str, Any]) -> tuple[str, float] | None:
    """Returns the name and best value of a run's monitored score; None if there is no value."""
    for name, best in (summary.get("best") or {}).items():
        value = best.get("value") if isinstance(best, dict) else None
        if value is not None:
            return str(name), float(value)
    return None
