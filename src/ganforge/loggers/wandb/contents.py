"""What a W&B run receives: facts that wandb's privacy variables allow, and flat summaries."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

from ganforge.loggers.facts import RunFacts


def allowed(facts: RunFacts) -> RunFacts:
    """Returns facts without diffs if WANDB_DISABLE_CODE or WANDB_DISABLE_GIT is set.

    WANDB_DISABLE_GIT also removes the commit, the repository URL and all other git data. The run
    folder is not affected.
    """
    no_git = _is_set("WANDB_DISABLE_GIT")
    if not no_git and not _is_set("WANDB_DISABLE_CODE"):
        return facts
    files = [path for path in facts.files if path.suffix != ".diff"]
    if no_git:
        files = [path for path in files if path.name != "provenance.json"]
        return replace(
            facts, files=files, values=_without_git(facts.values), commit=None, remote=None
        )
    return replace(facts, files=files)


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in ("true", "1", "yes", "y", "on", "t")


def _without_git(node: Any) -> Any:
    """Returns plain values without the git entries of the provenance."""
    if isinstance(node, dict):
        removed = ("code", "workspace")
        return {key: _without_git(value) for key, value in node.items() if key not in removed}
    if isinstance(node, list):
        return [_without_git(item) for item in node]
    return node


def summarized(summary: dict[str, Any]) -> dict[str, Any]:
    """Returns summary.json as flat numbers and strings, for a table of runs.

    The keys are ``status``, ``error``, ``class_names`` and ``<network>/parameters``;
    ``best/<score>``, the best value of each score with a direction; ``best/step`` and
    ``best/images_seen``, where the monitored score was best. Last values are not included, since
    they are logged as points under the names of the scores.
    """
    values: dict[str, Any] = {k: summary[k] for k in ("status", "error") if k in summary}
    if summary.get("class_names"):
        values["class_names"] = ", ".join(summary["class_names"])
    for name, result in summary.get("metrics", {}).items():
        best = _best(name, result.get("higher_is_better"), summary.get("history", []))
        if best is not None:
            values[f"best/{name}"] = best
    for best in summary.get("best", {}).values():
        values |= {"best/step": best["step"], "best/images_seen": best["images_seen"]}
    for player, number in summary.get("parameters", {}).items():
        values[f"{player}/parameters"] = number
    return values


def _best(name: str, up: bool | None, history: list[dict[str, Any]]) -> float | None:
    """Returns the best finite value after step 0; None if there is none or no direction."""
    if up is None:
        return None
    values = [float(point[name]) for point in history if point.get("step") and name in point]
    finite = [value for value in values if math.isfinite(value)]
    return (max(finite) if up else min(finite)) if finite else None
