from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run when it starts, beside its configuration.

    Attributes:
        group: what it belongs to, such as its sweep; None for nothing.
        values: plain containers by name: the chosen options, and where the run comes from.
        files: small text files of the run folder that are worth keeping with the points.
        commit: of the code, where that lies in a git work tree.
        remote: address of that repository, without credentials.
    """

    group: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    commit: str | None = None
    remote: str | None = None


@runtime_checkable
class FactLogger(Protocol):
    """A logger that keeps facts too."""

    def log_facts(self, facts: RunFacts) -> None:
        """Keeps ``facts``; called once, before anything else is logged."""
        ...


@runtime_checkable
class ContinuedLogger(Protocol):
    """A logger that wants to know where a resumed run goes on."""

    def go_on_from(self, step: int, images_seen: int) -> None:
        """Takes note of the checkpoint that training goes on from."""
        ...


@runtime_checkable
class SummaryLogger(Protocol):
    """A logger that keeps where a run stands and what it has reached."""

    def log_summary(self, summary: dict[str, Any]) -> None:
        """Replaces what was known by ``summary``, as in summary.json."""
        ...


@runtime_checkable
class AlertLogger(Protocol):
    """A logger that can tell people of an event.

    Attributes:
        alerts: whether they want to be told.
    """

    alerts: bool

    def alert(self, title: str, text: str, level: str) -> None:
        """Tells of an event; ``level`` is INFO, WARN or ERROR."""
        ...


@runtime_checkable
class CheckpointLogger(Protocol):
    """A logger that can keep checkpoints.

    Attributes:
        checkpoints: whether it is to.
    """

    checkpoints: bool

    def log_checkpoint(self, path: Path, aliases: list[str], facts: dict[str, Any]) -> None:
        """Keeps the file ``path`` as a new version under ``aliases``, with ``facts`` about it."""
        ...
