from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from ganforge.errors import ConfigError

VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


def is_peer() -> bool:
    """Whether this process was started by the first one of its run."""
    return os.environ.get("GANFORGE_PEER") == "1"


def refuse_foreign_launcher() -> None:
    """Raises ConfigError under a launcher that starts every process by itself."""
    if not is_peer() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "this process was started as one of several (WORLD_SIZE is set). ganforge starts the "
            "processes of a run itself: use trainer=ddp trainer.devices=N, without a launcher"
        )


@contextlib.contextmanager
def peers(run: Path, devices: int, checkpoint: Path | None = None) -> Iterator[None]:
    """Starts the other processes of a run, which read its folder and not a command line.

    Lightning would run the command again for each of them, which in a sweep runs the whole sweep.

    Args:
        run: the run's folder, its configuration written.
        devices: processes in all, this one included.
        checkpoint: where a resumed run goes on from.
    """
    if devices == 1 or is_peer():
        yield
        return
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "NODE_RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(devices),
    }
    started = [_start(run, checkpoint, rank) for rank in range(1, devices)]
    finished = threading.Event()
    threading.Thread(target=_watch, args=(started, finished), daemon=True).start()
    try:
        yield
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
    finally:
        finished.set()
        for process in started:
            process.kill()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(run: Path, checkpoint: Path | None, rank: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"LOCAL_RANK": str(rank), "GANFORGE_PEER": "1"}
    command = [sys.executable, "-m", "ganforge.experiments.peer", str(run)]
    if checkpoint is not None:
        command.append(str(checkpoint))
    return subprocess.Popen(command, env=environment)


def _watch(started: list[subprocess.Popen[bytes]], finished: threading.Event) -> None:
    """Ends this process when a peer has failed: it would wait for it for ever."""
    while not finished.wait(0.5):
        failed = [p for p in started if p.poll() not in (None, 0)]
        # An error of this process's own tells more, and its loggers want to finish.
        if failed and not finished.wait(20):
            for process in started:
                process.kill()
            print(
                f"ganforge: process {failed[0].pid} of this run failed (exit code "
                f"{failed[0].returncode}); its message is above",
                file=sys.stderr,
            )
            os._exit(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
