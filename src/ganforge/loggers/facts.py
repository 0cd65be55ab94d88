from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image


@dataclass(frozen=True)
class RunFacts:
    """Information about a run at its start, in addition to its configuration.

    Attributes:
        group: name of the group, such as the sweep; None for no group.
        values: plain containers by name: the chosen config options and the provenance.
        files: small text files of the run folder to store with the metrics.
        commit: commit of the code; None outside a git work tree.
        remote: URL of that repository, without credentials.
    """

    group: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    commit: str | None = None
    remote: str | None = None


@runtime_checkable
class FactLogger(Protocol):
    """A logger that stores run facts."""

    def log_facts(self, facts: RunFacts) -> None:
        """Stores ``facts``; called once, before anything else is logged."""
        ...


@runtime_checkable
class ContinuedLogger(Protocol):
    """A logger that needs to know the checkpoint from which a run resumes."""

    def continue_from(self, step: int, images_seen: int) -> None:
        """Records the step and the images seen of the checkpoint that training resumes from."""
        ...


@runtime_checkable
class SummaryLogger(Protocol):
    """A logger that stores the run summary: status and scores."""

    def log_summary(self, summary: dict[str, Any]) -> None:
        """Replaces the stored summary by ``summary``, the contents of summary.json."""
        ...


@runtime_checkable
class AlertLogger(Protocol):
    """A logger that can send alerts.

    Attributes:
        alerts: whether alerts are enabled.
    """

    alerts: bool

    def alert(self, title: str, text: str, level: str) -> None:
        """Sends an alert; ``level`` is INFO, WARN or ERROR."""
        ...


@runtime_checkable
class CheckpointLogger(Protocol):
    """A logger that can store checkpoints.

    Attributes:
        checkpoints: whether storing checkpoints is enabled.
    """

    checkpoints: bool

    def log_checkpoint(self, path: Path, aliases: list[str], facts: dict[str, Any]) -> None:
        """Stores the file ``path`` as a new version with ``aliases`` and metadata ``facts``."""
        ...


@runtime_checkable
class PictureLogger(Protocol):
    """A logger that accepts images."""

    def log_picture(
        self,
        name: str,
        picture: Image.Image,
        step: int,
        caption: str = "",
        images_seen: int | None = None,
    ) -> None:
        """Logs ``picture`` without loss, so that it decodes to the same pixels.

        Args:
            name: name of the panel.
            picture: an image of mode L, LA, RGB or RGBA.
            step: completed generator updates.
            caption: text below the image.
            images_seen: images seen by the discriminator; None uses the value logged last.
        """
        ...
