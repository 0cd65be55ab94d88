from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganforge.compute.hardware import Hardware
from ganforge.compute.launch import Launch
from ganforge.compute.rendezvous import Rendezvous
from ganforge.compute.workers import alone_on_this_machine, placed, started_workers
from ganforge.errors import GanforgeError


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
        self, run: Path, config: str, hardware: Hardware, checkpoint: Path | None
    ) -> Iterator[None]:
        """Starts training in the worker processes for the duration of the block.

        Args:
            run: the run's folder.
            config: its configuration, as YAML.
            hardware: the resolved hardware settings.
            checkpoint: checkpoint that a resumed run continues from; None for a new run.
        """
        if hardware.processes == 1:
            yield
            return
        launch = settled(self._launch, hardware.devices)
        with placed(launch):
            rendezvous = self._rendezvous or Rendezvous(launch)
            rendezvous.send(_order(run, config, hardware, checkpoint))
            self._sent = True
            with beside(self._launch, launch):
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
        return alone_on_this_machine(devices)
    return replace(launch, per_node=devices)


def beside(launch: Launch | None, settled: Launch) -> contextlib.AbstractContextManager[None]:
    """Starts the other processes of this node, unless the launcher has already done so."""
    if launch is not None and launch.per_node == settled.per_node:
        return contextlib.nullcontext()
    return started_workers(settled)


def _order(run: Path, config: str, hardware: Hardware, checkpoint: Path | None) -> dict[str, Any]:
    """Returns the message for the workers.

    It holds rank 0's resolved hardware settings, because "auto" may resolve differently elsewhere.
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
        },
    }
