"""Rank 0 of a run, and the worker processes that it starts and sends their job."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganforge.compute.hardware import Hardware
from ganforge.compute.launch import Launch
from ganforge.compute.rendezvous import Rendezvous
from ganforge.errors import GanforgeError
from ganforge.processes import module_path, python


class RankZero:
    """Rank 0 of a run, which sends the configuration to the worker processes.

    Args:
        launch: launch of this process; None if no launcher has started several.
    """

    def __init__(self, launch: Launch | None) -> None:
        self._launch = launch
        self._rendezvous = Rendezvous(launch) if launch is not None else None
        self._sent = False

    @contextlib.contextmanager
    def training(
        self,
        run: Path,
        config: str,
        hardware: Hardware,
        checkpoint: Path | None,
        threads: int | None = None,
    ) -> Iterator[None]:
        """Starts training in the worker processes for the duration of the block.

        Args:
            run: the run's folder.
            config: its configuration, as YAML.
            hardware: the resolved hardware settings.
            checkpoint: checkpoint that a resumed run continues from; None for a new run.
            threads: CPU threads of each process; None for PyTorch's number.
        """
        if hardware.processes == 1:
            yield
            return
        launch = settled(self._launch, hardware.devices)
        with placed(launch):
            rendezvous = self._rendezvous or Rendezvous(launch)
            rendezvous.send(_order(run, config, hardware, checkpoint, threads))
            self._sent = True
            with local_workers(self._launch, launch):
                yield

    def stop_workers(self, code: int) -> None:
        """Tells idle workers to exit with this process's exit code.

        Does nothing without workers, or if they have already received a message.
        """
        if self._rendezvous is not None and not self._sent:
            self._sent = True
            self._rendezvous.send({"exit_code": code})
            self._rendezvous.wait_until_received()


@contextlib.contextmanager
def as_rank_zero(launch: Launch | None) -> Iterator[RankZero]:
    """Runs the block as rank 0; at the end, idle workers exit with the block's exit code."""
    rank_zero = RankZero(launch)
    code = 1
    try:
        yield rank_zero
        code = 0
    except GanforgeError as error:
        code = error.exit_code
        raise
    except KeyboardInterrupt:
        code = 130
        raise
    finally:
        rank_zero.stop_workers(code)


def settled(launch: Launch | None, devices: int) -> Launch:
    """Returns the launch with its number of processes per node resolved to ``devices``."""
    if launch is None:
        return Launch("ganforge", 0, 1, 0, devices, "127.0.0.1", free_port())
    return replace(launch, per_node=devices)


def local_workers(
    launch: Launch | None, settled: Launch
) -> contextlib.AbstractContextManager[None]:
    """Starts the other processes of this node, unless the launcher has already done so."""
    if launch is not None and launch.per_node == settled.per_node:
        return contextlib.nullcontext()
    return started_workers(settled)


def _order(
    run: Path, config: str, hardware: Hardware, checkpoint: Path | None, threads: int | None
) -> dict[str, Any]:
    """Returns the message for the workers.

    It holds rank 0's resolved hardware settings, because "auto" may resolve differently elsewhere.
    ``tf32`` is not among them: each process resolves the user's value for its own device, by the
    precision that it is sent.
    """
    return {
        "run": str(run),
        "config": config,
        "checkpoint": str(checkpoint) if checkpoint is not None else None,
        "trainer": {
            "accelerator": hardware.accelerator,
            "devices": hardware.devices,
            "num_nodes": hardware.nodes,
            "precision": hardware.precision,
            "channels_last": hardware.channels_last,
            "fused": hardware.fused,
            "compile": hardware.compiled,
            "threads": threads,
        },
    }


@contextlib.contextmanager
def placed(launch: Launch) -> Iterator[None]:
    """Sets the environment variables of ``launch`` inside the block, for torch and subprocesses."""
    variables = launch.environment()
    before = {name: os.environ.get(name) for name in variables}
    os.environ |= variables
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


def end_with_starter() -> None:
    """Ends this process when the one that started it has ended.

    A process killed without warning cannot tell the others, which would wait for it in a GPU's
    collective until that times out.
    """
    starter = os.getppid()

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(1)
        print("ganforge: the process that started this one has ended", file=sys.stderr)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
