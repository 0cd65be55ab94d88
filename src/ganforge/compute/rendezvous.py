"""What the first process of a run tells the others: through torch's own store, not the disk."""

from __future__ import annotations

import contextlib
import json
import os
import time
from datetime import timedelta
from typing import Any

from torch.distributed import (  # type: ignore[attr-defined]
    DistStoreError,
    PrefixStore,
    TCPStore,
)

from ganforge.compute.launch import Launch
from ganforge.errors import RunError

CONNECTING = timedelta(minutes=10)  # nodes may start far apart
LISTENING = timedelta(seconds=10)
LEAVING = 60.0  # seconds that the first process waits for the others to have heard


class Handover:
    """A message from the first process to all others of its run.

    What it says needs no folder that the machines share, and arrives although a network's file
    system shows new files late. The first process keeps the store, which the process group then
    shares; under torchrun its agent does.

    Args:
        launch: place of this process.
    """

    def __init__(self, launch: Launch) -> None:
        agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        self.others = launch.size - 1
        self.keeps = launch.rank == 0 and not agent
        try:
            store = TCPStore(
                launch.address,
                launch.port,
                is_master=self.keeps,
                timeout=CONNECTING,
                wait_for_workers=False,
                multi_tenant=True,
            )
        except RuntimeError as error:
            raise RunError(
                f"cannot reach the first process of this run at {launch.address}:{launch.port}; "
                "MASTER_ADDR and MASTER_PORT name another address and port"
            ) from error
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = PrefixStore(f"ganforge/{attempt}", store)

    def give(self, message: dict[str, Any]) -> None:
        """Tells the others, once."""
        self._store.set("message", json.dumps(message))

    def take(self) -> dict[str, Any]:
        """Waits for the message, however long data and scores take to be prepared.

        Raises:
            RunError: the first process is gone.
        """
        while True:
            try:
                self._store.wait(["message"], LISTENING)
                message: dict[str, Any] = json.loads(self._store.get("message"))
                self._store.add("heard", 1)
                return message
            except DistStoreError:  # nothing yet
                continue
            except RuntimeError as error:
                raise RunError("the first process of this run is gone") from error

    def wait_until_heard(self) -> None:
        """Keeps the store until the others have the message, or some time has passed."""
        end = time.monotonic() + LEAVING
        with contextlib.suppress(RuntimeError):
            while self._store.add("heard", 0) < self.others and time.monotonic() < end:
                time.sleep(0.05)
