"""Parses the values of ``runs=`` and ``sweep=`` on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganforge.errors import RunError
from ganforge.paths import is_there, typed_path

LATEST = "latest"


def listed(value: Any) -> list[str]:
    """Returns the items of a value typed as ``[a,b]``, ``a,b`` or ``a``; empty for null."""
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(item) for item in value]
    # Names of a sweep's jobs contain commas: an existing path is one item, not a list.
    if is_there(str(value)):
        return [str(value)]
    return [item.strip() for item in str(value).split(",") if item.strip()]


def named_paths(value: Any, log_dir: str) -> list[str]:
    """Returns the named folders and patterns; ``log_dir`` for null.

    Args:
        value: run folders, folders of runs or patterns; "latest" is the newest sweep.
        log_dir: root of all outputs.

    Raises:
        RunError: ``value`` is "latest", and there is no sweep yet.
    """
    if value != LATEST:
        return listed(value) or [log_dir]
    root = typed_path(log_dir) / "multirun"
    found = sorted(place for place in root.glob("*/*") if place.is_dir())
    if not found:
        raise RunError(f"{LATEST}: no sweep yet under {root}")
    return [str(found[-1])]
