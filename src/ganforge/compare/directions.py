"""Which way a score is up: a run's summary says so, or else the class that computed it."""

from __future__ import annotations

import importlib
from functools import cache

from ganforge.runs.past import PastRun
from ganforge.runs.stored.trust import may_import


def higher_is_better(run: PastRun, name: str) -> bool | None:
    """Returns whether a higher value of a run's score is better; None where nothing tells.

    Args:
        run: whose score it is.
        name: as published, such as ``fid_classifier_AtoB``.
    """
    told = run.summary["metrics"][name].get("higher_is_better")
    if isinstance(told, bool):
        return told
    # The name in the configuration is followed by what was looked through, and by a direction.
    known = [key.split(".")[1] for key in run.settings if _is_score(key)]
    fitting = [one for one in known if f"{name}_".startswith(f"{one}_")]
    if not fitting:
        return None
    return _of_class(str(run.settings[f"metrics.{max(fitting, key=len)}._target_"]))


def _is_score(key: str) -> bool:
    return key.startswith("metrics.") and key.endswith("._target_") and key.count(".") == 2


@cache
def _of_class(target: str) -> bool | None:
    module, _, name = target.rpartition(".")
    if not may_import(target):
        return None
    try:  # torch is behind it: this takes seconds
        told = getattr(getattr(importlib.import_module(module), name), "higher_is_better", None)
    except Exception:  # a score of somebody's own, whose file is not here
        return None
    return told if isinstance(told, bool) else None
