"""Applies wandb's privacy variables, WANDB_DISABLE_CODE and WANDB_DISABLE_GIT."""

from __future__ import annotations

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
        kept = {key: value for key, value in node.items() if key not in ("code", "workspace")}
        return {key: _without_git(value) for key, value in kept.items()}
    if isinstance(node, list):
        return [_without_git(item) for item in node]
    return node
