"""What the user keeps from Weights & Biases by its own variables."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from ganforge.loggers.facts import RunFacts


def allowed(facts: RunFacts) -> RunFacts:
    """Returns facts without code where WANDB_DISABLE_CODE or WANDB_DISABLE_GIT forbids it.

    The latter keeps the commit and the repository's address back as well. The run folder keeps all.
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
    """Returns plain values without what provenance knows from git."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if key not in ("code", "workspace")}
        return {key: _without_git(value) for key, value in kept.items()}
    if isinstance(node, list):
        return [_without_git(item) for item in node]
    return node
