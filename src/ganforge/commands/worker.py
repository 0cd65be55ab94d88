"""A worker process (rank > 0) of a run, started by rank 0: `python -m ganforge.commands.worker`."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.commands.fit import fit
from ganforge.compute.launch import Launch, find_launch
from ganforge.compute.rank_zero import end_with_starter, local_workers, placed, settled
from ganforge.compute.rendezvous import Rendezvous
from ganforge.compute.threads import choose_threads, using_threads
from ganforge.config.command import Command
from ganforge.console import setup_logging
from ganforge.errors import FollowedError, GanforgeError, InterruptionError, RunError
from ganforge.plain_text import safe_lines
from ganforge.runs.build import build_parts
from ganforge.terminal import readable_streams


def main() -> int:
    """Joins the run whose rank 0 has started this process; returns the exit code."""
    readable_streams()
    try:
        launch = find_launch()
        if launch is None:
            raise GanforgeError("a run with several processes starts its workers itself")
        if launch.launcher == "ganforge":
            end_with_starter()
        follow(launch)
    except GanforgeError as error:
        if str(error):
            print(f"ganforge: {safe_lines(error)}", file=sys.stderr)
        return error.exit_code
    return 0


def follow(launch: Launch) -> None:
    """Joins a run as a worker (rank > 0); prints nothing unless it fails.

    Raises:
        FollowedError: if rank 0 has failed or this process was interrupted; carries the exit code.
        RunError: if this process has failed; the message names its rank and host.
    """
    setup_logging(quiet=True)  # after the import of Lightning, which sets the level of its logger
    try:
        order = Rendezvous(launch).receive()
        if order.get("exit_code") == 0:  # rank 0 had no work for several processes
            return
        if "exit_code" in order:
            raise FollowedError(order["exit_code"])
        placement = settled(launch, order["trainer"]["devices"])
        with placed(placement), local_workers(launch, placement):
            _join(order)
    except InterruptionError as error:
        raise FollowedError(error.exit_code) from error
    except FollowedError:
        raise
    except GanforgeError as error:
        where = f"process {launch.rank} of {launch.size}, on {socket.gethostname()}"
        raise RunError(f"{where}: {error}") from error


def _join(order: dict[str, Any]) -> None:
    cfg = cast(DictConfig, OmegaConf.create(order["config"]))
    cfg.trainer.update(order["trainer"])
    cfg.logger = {}
    checkpoint = Path(order["checkpoint"]) if order["checkpoint"] is not None else None
    if checkpoint is not None and not checkpoint.is_file():
        raise RunError(
            f"{checkpoint} does not exist here: a run resumes in a folder that all machines share"
        )
    threads = choose_threads(order["trainer"].get("threads"))
    with using_threads(threads.count):
        parts = build_parts(cfg)
        parts.data.decode_once()  # on a machine with another cache than that of rank 0
        fit(cfg, parts, Path(order["run"]), checkpoint, Command())


if __name__ == "__main__":
    sys.exit(main())
