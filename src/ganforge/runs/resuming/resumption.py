"""Checks, warnings and records made before a run resumes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ganforge.callbacks.run_summary import versions
from ganforge.runs.build import Parts
from ganforge.runs.provenance import read
from ganforge.runs.record import note_change
from ganforge.runs.resuming.images import changed_data
from ganforge.runs.resuming.length import log_length_change
from ganforge.runs.resuming.resume import Resumed, start_of
from ganforge.runs.stored.config import read_own

log = logging.getLogger("ganforge")

COMPARED = ("ganforge", "torch")  # packages whose version may change numerical results


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
    sessions = read(run)
    environment = sessions[-1].get("environment") if sessions else None
    before = environment.get("versions") if isinstance(environment, dict) else None
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
