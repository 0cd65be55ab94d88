"""Messages from rank 0 to the workers of a run, over torch's TCPStore instead of the disk."""

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

CONNECTING = timedelta(minutes=10)  # nodes may start minutes apart
LISTENING = timedelta(seconds=10)
LEAVING = 60.0  # seconds that rank 0 waits for the workers to receive the message


class Rendezvous:
    """A message from rank 0 to all workers of its run.

    It needs no shared folder, and does not depend on network file systems that show new files
    late. Rank 0 hosts the store, which the process group then shares; under torchrun, the agent
    hosts it.

    Args:
        launch: launch of this process.

    Raises:
        RunError: the store cannot be reached.
    """

    def __init__(self, launch: Launch) -> None:
        agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        self.others = launch.size - 1
        self._hosts_store = launch.rank == 0 and not agent
        try:
            store = TCPStore(
                launch.address,
                launch.port,
                is_master=self._hosts_store,
                timeout=CONNECTING,
                wait_for_workers=False,
                multi_tenant=True,
            )
        except RuntimeError as error:
            raise RunError(
                f"cannot reach rank 0 of this run at {launch.address}:{launch.port}; "
                "MASTER_ADDR and MASTER_PORT name another address and port"
            ) from error
        # torchrun's agent keeps its store over restarts: an old message must not be read again.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = PrefixStore(f"ganforge/{attempt}", store)

    def send(self, message: dict[str, Any]) -> None:
        """Sends the message to all workers. Call it once."""
        self._store.set("message", json.dumps(message))

    def receive(self) -> dict[str, Any]:
        """Returns the message; waits without a limit, since rank 0 may first prepare data.

        Raises:
            RunError: rank 0 is gone.
        """
        while True:
            try:
                self._store.wait(["message"], LISTENING)
                message: dict[str, Any] = json.loads(self._store.get("message"))
                self._store.add("received", 1)
                return message
            except DistStoreError:  # timeout: no message yet
                continue
            except RuntimeError as error:
                raise RunError("rank 0 of this run is gone") from error

    def wait_until_received(self) -> None:
        """Keeps the store open until all workers have the message, or for at most a minute."""
        end = time.monotonic() + LEAVING
        with contextlib.suppress(RuntimeError):
            while self._store.add("received", 0) < self.others and time.monotonic() < end:
                time.sleep(0.05)
