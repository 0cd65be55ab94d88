from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganforge.compute.hardware import Hardware
from ganforge.compute.launch import Launch
from ganforge.compute.rendezvous import Handover
from ganforge.compute.workers import alone_on_this_machine, peers, placed
from ganforge.errors import GanforgeError


class Leader:
    """The first process of a run: it settles what is done, and tells the others.

    Args:
        launch: its place among processes that a launcher has started; None where it is alone.
    """

    def __init__(self, launch: Launch | None) -> None:
        self._launch = launch
        self._handover = Handover(launch) if launch is not None else None
        self._told = False

    @contextlib.contextmanager
    def training(
        self, run: Path, config: str, hardware: Hardware, checkpoint: Path | None
    ) -> Iterator[None]:
        """Has the other processes train along.

        Args:
            run: the run's folder.
            config: its configuration, as YAML.
            hardware: what it computes on, settled.
            checkpoint: where a resumed run goes on from.
        """
        if hardware.processes == 1:
            yield
            return
        launch = settled(self._launch, hardware.devices)
        with placed(launch):
            handover = self._handover or Handover(launch)
            handover.give(_order(run, config, hardware, checkpoint))
            self._told = True
            with beside(self._launch, launch):
                yield

    def dismiss(self, code: int) -> None:
        """Lets others that were started, and have nothing to do, end as this process does."""
        if self._handover is not None and not self._told:
            self._told = True
            self._handover.give({"exit_code": code})
            self._handover.wait_until_heard()


@contextlib.contextmanager
def leading(launch: Launch | None) -> Iterator[Leader]:
    """Leads the processes of a run until the block ends, with an error or without."""
    leader = Leader(launch)
    code = 1
    try:
        yield leader
        code = 0
    except GanforgeError as error:
        code = error.exit_code
        raise
    except KeyboardInterrupt:
        code = 130
        raise
    finally:
        leader.dismiss(code)


def settled(launch: Launch | None, devices: int) -> Launch:
    """Returns the place of a process once it is known how many there are on each machine."""
    if launch is None:
        return alone_on_this_machine(devices)
    return replace(launch, per_node=devices)


def beside(launch: Launch | None, settled: Launch) -> contextlib.AbstractContextManager[None]:
    """Starts the processes beside this one, where no launcher did: it is alone on its node."""
    if launch is not None and launch.per_node == settled.per_node:
        return contextlib.nullcontext()
    return peers(settled)


def _order(run: Path, config: str, hardware: Hardware, checkpoint: Path | None) -> dict[str, Any]:
    """Returns what the others need to know; hardware as it was settled, for they may differ."""
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
