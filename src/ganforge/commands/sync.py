from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

from ganforge.config.requests import SyncRequest
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError, RunError
from ganforge.loggers.wandb import access as wandb_access
from ganforge.processes import module_path, python
from ganforge.runs.lock import holder
from ganforge.runs.past import find_runs, named_paths

log = logging.getLogger("ganforge")


def sync_runs(request: SyncRequest) -> list[Path]:
    """Uploads runs recorded offline to Weights & Biases, with ``wandb sync``.

    A resumed run has one part for each of its processes, all with the same ID. They are sent
    together: ``wandb sync`` orders them by start time and merges them into one run. It marks parts
    as sent, and these are not sent again.

    Args:
        request: the command as typed.

    Returns:
        The parts that were sent, or would be sent in a dry run.

    Raises:
        ConfigError: if a value is invalid.
        RunError: if there are no credentials or no server, or a part was not sent.
    """
    setup_logging()
    if not request.timeout > 0:
        raise ConfigError(f"timeout must be above 0 seconds; got {request.timeout}")
    unsent = _unsent(find_runs(named_paths(request.runs, request.log_dir)))
    parts = [part for recorded in unsent.values() for part in recorded]
    if not parts:
        console.print("nothing to send")
        return []
    if request.dry_run:
        for part in parts:
            console.print(f"would send {part}", soft_wrap=True)
        return parts
    wandb_access.require_server(request.timeout)
    for folder, recorded in unsent.items():
        console.print(f"sending {folder}", soft_wrap=True)
        send(recorded)
    if left := [str(path) for path, recorded in unsent.items() if not all(map(is_sent, recorded))]:
        raise RunError("\n  ".join([f"{len(left)} runs were not sent completely:", *left]))
    return parts


def parts_of(folder: Path) -> list[Path]:
    """Returns the offline recordings of a run, one folder for each process, oldest first."""
    recorded = (folder / "wandb").glob("offline-run-*")  # -<date>_<time>-<id>
    return sorted(part for part in recorded if any(part.glob("run-*.wandb")))


def is_sent(part: Path) -> bool:
    """Whether ``wandb sync`` has marked a part as sent."""
    return any(part.glob("run-*.wandb.synced"))


def send(parts: list[Path]) -> None:
    """Sends the parts of one run; the output of ``wandb`` goes to the terminal."""
    command = [*python(), "-m", "wandb", "sync", *map(str, parts)]
    # WANDB_MODE=offline may still be set from recording the runs.
    environment = os.environ | module_path() | {"WANDB_MODE": "online"}
    subprocess.run(command, env=environment, check=False)


def _unsent(folders: list[Path]) -> dict[Path, list[Path]]:
    """Returns the unsent parts of each run; running runs are skipped with a warning."""
    unsent = {}
    for folder in folders:
        parts = [part for part in parts_of(folder) if not is_sent(part)]
        if parts and (process := holder(folder)) is not None:
            log.warning("skipped: %s is training in %s", process, folder)
        elif parts:
            unsent[folder] = parts
    return unsent
