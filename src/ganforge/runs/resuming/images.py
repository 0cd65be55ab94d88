"""Checks whether the images are those that a checkpoint was trained on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganforge.config.check import did_you_mean
from ganforge.data.identity import differences_of
from ganforge.data.module import ImageDataModule
from ganforge.data.source import hash_of
from ganforge.errors import ConfigError
from ganforge.runs.record import noted_changes

log = logging.getLogger("ganforge")

ALLOWED = ["data", "links"]  # "links": see RunFolder.refuse_links


def check_allowed(allow: Sequence[str]) -> None:
    """Rejects an unknown word of ``resume.allow=[...]``.

    Raises:
        ConfigError: a word is unknown. The message lists the legal ones.
    """
    for word in allow:
        if word not in ALLOWED:
            raise ConfigError(f"resume.allow=[{word}]: {did_you_mean(word, ALLOWED)}")


def changed_data(
    checkpoint: dict[str, Any], data: ImageDataModule, allow: Sequence[str], run: Path, path: Path
) -> str | None:
    """Returns the note to record for a run that resumes with other images; None if unchanged.

    Args:
        checkpoint: the loaded checkpoint; old checkpoints without image identities pass.
        data: the current images.
        allow: words of ``resume.allow``.
        run: the run's folder. Images that it has already resumed with are accepted.
        path: path of the checkpoint.

    Raises:
        ConfigError: the images differ, and ``allow`` does not contain "data".
    """
    difference = _difference(checkpoint.get("images"), data)
    if difference is None:
        return None
    note = f"images {hash_of(str(data.identity()))}: {difference}"
    if any(entry.startswith(note.partition(":")[0]) for entry in noted_changes(run)):
        return None
    if "data" not in allow:
        raise ConfigError(
            f"data={data.name}: not the images that {path} was trained on: {difference}. "
            "Restore them (moved ones: data.path=NEW), or type resume.allow=[data] to resume with "
            "these"
        )
    log.warning("resume.allow=[data]: data=%s has %s", data.name, difference)
    return note


def warn_of_other_data(then: Any, path: Path, data: ImageDataModule) -> None:
    """Logs a warning if a checkpoint is scored against other images than it was trained on.

    Args:
        then: the checkpoint's image identities; old checkpoints without them pass.
        path: path of the checkpoint.
        data: the current images.
    """
    if (difference := _difference(then, data)) is not None:
        log.warning(
            "data=%s: not the images that %s was trained on: %s. Scores are computed with the "
            "present images",
            data.name,
            path,
            difference,
        )


def _difference(then: Any, data: ImageDataModule) -> str | None:
    if not isinstance(then, list) or not all(isinstance(one, dict) for one in then):
        return None  # before the images are read to identify them
    return differences_of(then, data.identity())
