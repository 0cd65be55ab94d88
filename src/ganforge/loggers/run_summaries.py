from __future__ import annotations

import math
from typing import Any


def summarized(summary: dict[str, Any]) -> dict[str, Any]:
    """Returns summary.json as flat numbers and strings, for a table of runs.

    The keys are ``status``, ``error``, ``class_names`` and ``<network>/parameters``;
    ``best/<score>``, the best value of each score with a direction; ``best/step`` and
    ``best/images_seen``, where the monitored score was best. Last values are not included, since
    they are logged as points under the names of the scores.

    Args:
        summary: the contents of summary.json.
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
    """Returns the best finite value after step 0; None if there is none or no direction."""
    if up is None:
        return None
    values = [float(point[name]) for point in history if point.get("step") and name in point]
    finite = [value for value in values if math.isfinite(value)]
    return (max(finite) if up else min(finite)) if finite else None
