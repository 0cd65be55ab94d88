"""Outcome of a trial, read from its run folder, whichever process it ran in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganforge.runs.folder import RunFolder
from ganforge.search.objectives import value_of
from ganforge.search.settings import Search

GIVEN_UP = ("PrunedError", "DivergenceError")
Kind = Literal["completed", "pruned", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        kind: completed, pruned (by the pruner, or diverged) or failed.
        values: values of the objectives if the trial completed, else empty.
        reason: why the trial did not complete.
    """

    kind: Kind
    values: list[float]
    reason: str = ""


def outcome(search: Search, folder: Path, error: BaseException | str | None) -> Outcome:
    """Returns the outcome of a trial.

    Args:
        search: settings of the search.
        folder: the trial's run folder, which may not exist.
        error: error from the launcher; None if there was none.

    Raises:
        ObjectiveError: if the run does not measure an objective; then no trial will.
    """
    summary = RunFolder(folder).read_summary()
    if summary.get("status") == "completed":
        values = _values(search, summary)
        missing = [name for name, v in zip(search.objectives, values, strict=True) if v is None]
        if missing:
            return Outcome("pruned", [], f"{', '.join(missing)} is not finite")
        return Outcome("completed", [value for value in values if value is not None])
    kind = type(error).__name__ if isinstance(error, BaseException) else ""
    kind = kind if kind in GIVEN_UP else str(summary.get("error_kind", kind))
    reason = str(summary.get("error") or error or f"left no {folder / 'summary.json'}")
    if isinstance(error, BaseException) and not summary.get("error"):
        reason = f"{type(error).__name__}: {error}"
    return Outcome("pruned" if kind in GIVEN_UP else "failed", [], reason.splitlines()[0])


def _values(search: Search, summary: dict[str, Any]) -> list[float | None]:
    return [value_of(summary, name, way, search.best) for name, way in search.objectives.items()]
