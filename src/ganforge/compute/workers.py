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
    """Lets this process be the one of ``launch``, for torch and for what it starts."""
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
def peers(launch: Launch) -> Iterator[None]:
    """Starts the other processes of this machine, which hear from the run's first what to do.

    Lightning would run the command again for each of them, which in a sweep runs the whole sweep.

    Args:
        launch: place of this process, the first one of its machine.
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
    """Returns the place of the first of some processes on this machine, at a free port."""
    return Launch("ganforge", 0, 1, 0, devices, "127.0.0.1", free_port())


def free_port() -> int:
    """Returns a port of this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(launch: Launch) -> subprocess.Popen[bytes]:
    environment = os.environ | launch.environment() | {"GANFORGE_PEER": "1"} | module_path()
    # Of these processes none is torchrun's.
    environment.pop("TORCHELASTIC_USE_AGENT_STORE", None)
    command = [*python(), "-m", "ganforge.commands.worker"]
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
