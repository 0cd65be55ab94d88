"""Checks, warnings and records made before a run resumes, also on its training images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganforge.callbacks.run_summary import versions
from ganforge.config.check import did_you_mean
from ganforge.data.identity import differences_of
from ganforge.data.module import ImageDataModule
from ganforge.data.source import hash_of
from ganforge.errors import ConfigError
from ganforge.runs.build import Parts
from ganforge.runs.provenance import read
from ganforge.runs.record import note_change, noted_changes
from ganforge.runs.resuming.own_keys import log_length_change
from ganforge.runs.resuming.resume import Resumed, start_of
from ganforge.runs.stored.config import read_own

log = logging.getLogger("ganforge")

COMPARED = ("ganforge", "torch")  # packages whose version may change numerical results
ALLOWED = ["data", "links"]  # "links": see RunFolder.refuse_links


def begin(resumed: Resumed, parts: Parts, allow: Sequence[str]) -> Resumed:
    """Returns the run with the checkpoint to resume from; records changed images in its folder.

    Args:
        resumed: the run.
        parts: the objects built from its configuration.
        allow: words of ``resume.allow``.

    Raises:
        ConfigError: the checkpoint is of another configuration, or of other images.
        RunError: the checkpoint is damaged or of another architecture, or nothing is left to do.
    """
    path, checkpoint = start_of(resumed, parts.model, parts.settings)
    run = resumed.folder.path
    note = changed_data(checkpoint, parts.data, allow, run, path)
    log_length_change(read_own(resumed.folder), resumed.cfg, checkpoint["progress"]["iteration"])
    log_version_changes(run)
    log_process_change(run, parts.hardware.processes)
    if note is not None:
        note_change(run, note)
    return replace(resumed, checkpoint=path)


def assert_resumes(resumed: Resumed, parts: Parts, allow: Sequence[str]) -> None:
    """Checks that a checkpoint fits its run, without side effects; a finished run passes too.

    Raises:
        ConfigError: the checkpoint is of another configuration, or of other images.
        RunError: the checkpoint is damaged or of another architecture.
    """
    path, checkpoint = start_of(resumed, parts.model, parts.settings, ended=True)
    if not parts.random:
        changed_data(checkpoint, parts.data, allow, resumed.folder.path, path)


def log_version_changes(run: Path) -> None:
    """Logs a warning if the versions of ``COMPARED`` differ from the run's last session."""
    before = _last_environment(run).get("versions")
    if not isinstance(before, dict):
        return
    now = versions()
    changed = [
        f"{name} {now[name]} (before: {before[name]})"
        for name in COMPARED
        if name in before and before[name] != now[name]
    ]
    if changed:
        log.warning("resumed under %s: results may differ", ", ".join(changed))


def log_process_change(run: Path, processes: int) -> None:
    """Logs a warning if the run's last session trained in another number of processes."""
    before = _last_environment(run).get("processes")
    if isinstance(before, int) and before != processes:
        log.warning(
            "resumed in %d process%s (before: %d): layers that look at a batch, such as BatchNorm, "
            "see another share of it. trainer.devices=N or a launcher starts N",
            processes,
            "es" if processes > 1 else "",
            before,
        )


def _last_environment(run: Path) -> dict[str, Any]:
    sessions = read(run)
    environment = sessions[-1].get("environment") if sessions else None
    return environment if isinstance(environment, dict) else {}


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
