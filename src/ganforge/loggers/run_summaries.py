from __future__ import annotations

import math
from typing import Any


def summarized(summary: dict[str, Any]) -> dict[str, Any]:
    """Returns what a table of runs shows of summary.json, as numbers and words without nesting.

    ``status``, ``error``, ``class_names`` and ``<player>/parameters``; ``best/<score>`` is the best
    value of each score that is better one way; ``best/step`` and ``best/images_seen`` are where the
    monitored score had its best. The last value of a score is its last point, under its own name.

    Args:
        summary: as in summary.json.
    """
    found: dict[str, Any] = {name: summary[name] for name in ("status", "error") if name in summary}
    if summary.get("class_names"):
        found["class_names"] = ", ".join(summary["class_names"])
    for name, result in summary.get("metrics", {}).items():
        best = _best(name, result.get("higher_is_better"), summary.get("history", []))
        if best is not None:
            found[f"best/{name}"] = best
    for best in summary.get("best", {}).values():
        found |= {"best/step": best["step"], "best/images_seen": best["images_seen"]}
    for player, number in summary.get("parameters", {}).items():
        found[f"{player}/parameters"] = number
    return found


def _best(name: str, up: bool | None, history: list[dict[str, Any]]) -> float | None:
    """Returns the best finite value after the start; None where no way is better."""
    if up is None:
        return None
    values = [float(point[name]) for point in history if point.get("step") and name in point]
    finite = [value for value in values if math.isfinite(value)]
    return (max(finite) if up else min(finite)) if finite else None
