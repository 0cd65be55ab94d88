"""Provenance of a run: its command line, code version and machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import torch

from ganforge import atomic
from ganforge.callbacks.run_summary import versions
from ganforge.compute.hardware import Hardware
from ganforge.config.command import Command, read_choices
from ganforge.config.job_names import FILE
from ganforge.errors import RunError
from ganforge.loggers.facts import RunFacts
from ganforge.redaction import redacted
from ganforge.regular_files import read_json, read_regular
from ganforge.runs.code_version import CodeVersion, Workspace

NAME = "provenance.json"
STEMS = ("code", "workspace")  # of the names of patches


def record(
    folder: Path,
    command: Command,
    hardware: Hardware,
    checkpoint: Path | None = None,
    threads: int | None = None,
) -> None:
    """Appends an entry for this session to ``<run folder>/provenance.json``.

    Uncommitted changes of the first session are in ``code.diff``; a later session with different
    changes adds ``code-2.diff`` and so on. ``workspace.diff`` does the same for the user's code.

    Args:
        folder: the run's folder.
        command: the parsed command line.
        hardware: the resolved hardware settings.
        checkpoint: checkpoint that a resumed run continues from; None for a new run.
        threads: CPU threads of each process.

    Raises:
        RunError: the disk is full or not writable.
    """
    code, workspace = CodeVersion.read(), Workspace.read(command.config_dirs)
    sessions = read(folder)
    try:
        diff = _write_diff(folder, "code", code)
        session = _session(command, hardware, checkpoint, code, diff)
        session["environment"]["threads"] = threads
        if workspace is not None:
            found = {"commit": workspace.commit, "remote": workspace.remote}
            found["diff"] = _write_diff(folder, "workspace", workspace)
            session["workspace"] = {**found, "files": workspace.files}
        sessions.append(session)
        atomic.write(folder / NAME, json.dumps(sessions, indent=2).encode())
    except OSError as error:
        raise RunError(f"cannot write {folder / NAME}: {error.strerror or error}") from error


def facts_of(folder: Path, job: str | None = None) -> RunFacts:
    """Returns the facts for loggers about a run; call it after :func:`record`.

    Args:
        folder: the run's folder.
        job: the folder assigned by Hydra's sweeper; None outside of a sweep.
    """
    sessions = read(folder)
    first = sessions[0] if sessions else {}
    resumed = {"resumed": sessions[1:]} if len(sessions) > 1 else {}
    code = sessions[-1].get("code") if sessions else None
    code = code if isinstance(code, dict) else {}
    names = ["config.yaml", "composed.yaml", NAME]
    diffs = (path for stem in STEMS for path in sorted(folder.glob(f"{stem}*.diff")))
    files = [*(folder / name for name in names), *diffs]
    return RunFacts(
        group=group_of(folder, job),
        values={"choices": read_choices(folder), "provenance": first | resumed},
        # Links are skipped: in a copied run, one may lead to a private file of the user.
        files=[path for path in files if path.is_file() and not path.is_symlink()],
        commit=code.get("commit"),
        remote=code.get("remote"),
    )


def read(folder: Path) -> list[dict[str, Any]]:
    """Returns one entry per session that trained the run; empty if there is no record."""
    try:
        found = read_json(folder / NAME)
    except (FileNotFoundError, RunError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def overrides_of(folder: Path) -> list[str]:
    """Returns the overrides that a run was started with, as typed; empty if unknown."""
    first = read(folder)[:1]
    overrides = first[0].get("overrides") if first else None
    return [str(override) for override in overrides] if isinstance(overrides, list) else []


def threads_of(folder: Path) -> int | None:
    """Returns the CPU threads of the session that trained a run last; None if unknown."""
    last = (read(folder) or [{}])[-1].get("environment")
    threads = last.get("threads") if isinstance(last, dict) else None
    return threads if isinstance(threads, int) and threads >= 1 else None


def environment(hardware: Hardware) -> dict[str, Any]:
    """Returns the facts about the machine that matter for reproducing a run."""
    found: dict[str, Any] = {
        "device": str(hardware),
        "processes": hardware.processes,
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "versions": versions(),
    }
    if hardware.accelerator == "cuda":
        count = torch.cuda.device_count()
        found["gpus"] = [torch.cuda.get_device_name(number) for number in range(count)]
        found["cuda"] = torch.version.cuda
        with contextlib.suppress(RuntimeError):
            found["cudnn"] = cast(Any, torch.backends.cudnn).version()
    return found


def _session(
    command: Command,
    hardware: Hardware,
    checkpoint: Path | None,
    code: CodeVersion | None,
    diff: str | None,
) -> dict[str, Any]:
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "checkpoint": checkpoint.name if checkpoint is not None else None,
        "command": redacted(command.line),
        "overrides": redacted(command.typed),
        "code": {"commit": code.commit, "remote": code.remote, "diff": diff} if code else None,
        "environment": environment(hardware),
    }


def _write_diff(folder: Path, stem: str, code: CodeVersion | Workspace | None) -> str | None:
    """Writes the diff to the commit unless an equal one exists; returns the file's name."""
    if code is None or not code.diff:
        return None
    known = sorted(folder.glob(f"{stem}*.diff"))
    for path in known:
        with contextlib.suppress(OSError):  # a link or FIFO, which no run creates
            if read_regular(path) == code.diff.encode():
                return path.name
    name = f"{stem}-{len(known) + 1}.diff" if known else f"{stem}.diff"
    atomic.write(folder / name, code.diff.encode())
    return name


def group_of(run: Path, job: str | None = None) -> str | None:
    """Returns the group name shared by a sweep's jobs, such as "sweep-2026-11-22-13-07-13".

    Args:
        run: a run folder.
        job: the folder assigned by Hydra's sweeper; None outside of a sweep.

    Returns:
        The name of the sweep; None if the run is not a job of a sweep.
    """
    sweep = run.parent
    if job is None and not (sweep / FILE).is_file():
        return None
    return f"sweep-{sweep.parent.name}-{sweep.name}"
