"""Whether higher is better for a score, read from a run's summary or from the score's class."""

from __future__ import annotations

import importlib
from functools import cache

from ganforge.runs.past import PastRun
from ganforge.runs.stored.trust import may_import


def higher_is_better(run: PastRun, name: str) -> bool | None:
    """Returns whether a higher value of a run's score is better; None if that is unknown.

    Args:
        run: the run that was measured.
        name: published name, such as ``fid_classifier_AtoB``.
    """
    told = run.summary["metrics"][name].get("higher_is_better")
    if isinstance(told, bool):
        return told
    # Published names are the configured name plus the feature extractor and the direction.
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
    try:  # imports torch, which takes seconds
        told = getattr(getattr(importlib.import_module(module), name), "higher_is_better", None)
    except Exception:  # a user's own score whose module is not available here
        return None
    return told if isinstance(told, bool) else None
