from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

from ganforge.compute.launch import Launch
from ganforge.processes import module_path, python


@contextlib.contextmanager
def placed(launch: Launch) -> Iterator[None]:
    """Sets the environment variables of ``launch`` inside the block, for torch and subprocesses."""
    told = launch.environment()
    before = {name: os.environ.get(name) for name in told}
    os.environ |= told
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def started_workers(launch: Launch) -> Iterator[None]:
    """Starts the other worker processes of this node, which receive their job from rank 0.

    Lightning would rerun the command line for each of them, which in a sweep reruns the sweep.

    Args:
        launch: launch of this process, which has local rank 0.
    """
    started = [_start(replace(launch, local=local)) for local in range(1, launch.per_node)]
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
            process.wait()


def alone_on_this_machine(devices: int) -> Launch:
    """Returns the launch of rank 0 for ``devices`` processes on this machine, at a free port."""
    return Launch("ganforge", 0, 1, 0, devices, "127.0.0.1", free_port())


def free_port() -> int:
    """Returns a free TCP port on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(launch: Launch) -> subprocess.Popen[bytes]:
    environment = os.environ | launch.environment() | {"GANFORGE_PEER": "1"} | module_path()
    # These workers are not started by torchrun's agent, so they must not use its store.
    environment.pop("TORCHELASTIC_USE_AGENT_STORE", None)
    command = [*python(), "-m", "ganforge.commands.worker"]
    return subprocess.Popen(command, env=environment)


def _watch(started: list[subprocess.Popen[bytes]], finished: threading.Event) -> None:
    """Exits this process when a worker has failed; it would otherwise wait indefinitely."""
    while not finished.wait(0.5):
        failed = [p for p in started if p.poll() not in (None, 0)]
        # Wait first: this process's own error is more informative, and its loggers need to finish.
        if failed and not finished.wait(20):
            for process in started:
                process.kill()
            print(
                f"ganforge: process {failed[0].pid} of this run failed (exit code "
                f"{failed[0].returncode}); its message is above",
                file=sys.stderr,
            )
            os._exit(1)
