"""The other processes of a run, and what they agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, distributed, nn

from ganforge.errors import RunError
from ganforge.models.engine.exchange import GradientExchange, average, statistics
from ganforge.models.engine.update import Player
from ganforge.networks.layers.synchronized import several

Subject = Literal["signal", "stop", "save"]
SUBJECTS: tuple[Subject, ...] = ("signal", "stop", "save")


class Processes:
    """The processes that train the same model, each with its share of every batch.

    A single process exchanges nothing.

    Attributes:
        agreement: numbers on which the processes agree.
    """

    def __init__(self) -> None:
        self.agreement = Agreement()
        self._gradients: dict[Player, GradientExchange] = {}
        self._statistics: list[Tensor] = []

    def start(self, players: Mapping[Player, nn.Module]) -> None:
        """Prepares the exchange for a training; a collective."""
        self.end()
        self.agreement.start()
        if several():
            self._gradients = {
                player: GradientExchange(p for p in network.parameters() if p.requires_grad)
                for player, network in players.items()
            }
            self._statistics = statistics(*players.values())

    def open(self, player: Player) -> None:
        """Announces the last backward pass of an update."""
        if self._gradients:
            self._gradients[player].open()

    def close(self, player: Player) -> None:
        """Replaces the gradients of the player that is updated by their means."""
        if self._gradients:
            self._gradients[player].close()

    def average_statistics(self) -> None:
        """Replaces the running statistics of BatchNorm by their means, so that all generate alike.

        Running statistics are linear in those of the batches. Their mean over the processes is the
        same, however often it is taken.
        """
        average(self._statistics)

    def end(self) -> None:
        """Ends the exchange: the weights have no hooks any more."""
        self.agreement.end()
        for gradients in self._gradients.values():
            gradients.remove()
        self._gradients, self._statistics = {}, []


def connected() -> Any:
    """Returns a group of all processes that exchanges tensors of the CPU; a collective."""
    try:
        return distributed.new_group(backend="gloo")
    except RuntimeError as error:
        raise RunError(
            f"the processes cannot connect with Gloo: {error}. If host names resolve to loopback "
            "addresses, set GLOO_SOCKET_IFNAME to the name of the network interface"
        ) from error


class Agreement:
    """The largest of the numbers that processes propose in a step, the same on all of them.

    Clocks and signals differ between processes, which must end together. With several processes,
    the numbers of a step are known after the next one: they travel on the CPU while that step is
    computed, so that no process waits for its device. A single process agrees with itself at once.
    """

    def __init__(self) -> None:
        self._proposed = dict.fromkeys(SUBJECTS, 0)
        self._travelling: tuple[Tensor, distributed.Work] | None = None
        self._agreed = dict.fromkeys(SUBJECTS, 0)
        self._group: Any = None
        self._several = False

    def start(self) -> None:
        """Opens the connections between the processes; a collective."""
        self._proposed = dict.fromkeys(SUBJECTS, 0)
        self._agreed = dict.fromkeys(SUBJECTS, 0)
        self._several = several()
        if self._several:
            self._group = connected()

    def propose(self, subject: Subject, number: int) -> None:
        """Proposes a number of at least 0 in this step; of several proposals, the largest."""
        self._proposed[subject] = max(number, self._proposed[subject])

    def on(self, subject: Subject) -> int:
        """Returns the number agreed on; 0 if no process proposed one."""
        if not self._several:
            return self._proposed[subject]
        self._arrive()
        return self._agreed[subject]

    def end_step(self) -> None:
        """Sends the numbers of a step; a collective."""
        if self._several:
            self._arrive()
            numbers = torch.tensor([self._proposed[subject] for subject in SUBJECTS])
            maximum = distributed.ReduceOp.MAX
            work = distributed.all_reduce(numbers, maximum, group=self._group, async_op=True)
            self._travelling = (numbers, work)
        self._proposed = dict.fromkeys(SUBJECTS, 0)

    def end(self) -> None:
        """Waits for numbers under way, so that no process leaves before the others have them."""
        self._arrive()

    def _arrive(self) -> None:
        if self._travelling is not None:
            numbers, work = self._travelling
            work.wait()
            self._agreed = dict(zip(SUBJECTS, numbers.tolist(), strict=True))
            self._travelling = None
