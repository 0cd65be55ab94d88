from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed


class Replicas(DDPStrategy):
    """Processes that each train a copy of the whole model and exchange gradients themselves.

    DistributedDataParallel would average both players' gradients at each backward pass, search for
    unused weights and wait for the device in every step. Here the model averages the gradients of
    the player it updates, once an update; see :class:`GradientExchange`.
    """

    def configure_ddp(self) -> None:
        """Gives all processes the weights of rank 0, without a wrapper around the model."""
        module = self.lightning_module
        assert module is not None  # for the type checker
        for tensor in [*module.parameters(), *module.buffers()]:
            distributed.broadcast(tensor.detach(), 0)

    def reduce(self, tensor: Tensor, group: Any = None, reduce_op: Any = "mean") -> Tensor:
        """Returns the mean or sum over the processes, without Lightning's barrier before it."""
        if not isinstance(tensor, Tensor):
            return tensor
        operations = {"avg": "mean", "mean": "mean", "sum": "sum", "max": "max"}
        name = operations[str(getattr(reduce_op, "name", reduce_op)).lower()]
        kinds = distributed.ReduceOp
        total = tensor.clone()
        distributed.all_reduce(total, kinds.MAX if name == "max" else kinds.SUM, group=group)
        return total / distributed.get_world_size(group) if name == "mean" else total


def leave_signals_alone(trainer: Trainer) -> None:
    """Removes Lightning's question to all processes, in every step, whether SIGTERM came.

    Interruption handles the signals, and asks without waiting for the device.
    """
    loop = trainer.fit_loop.epoch_loop
    loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
