"""Recorders of updates: as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from ganforge.errors import RunError
from ganforge.models.engine.update import Batch, Update

RECOVERS = "2.14"  # the first version of PyTorch that can go on after a failed recording


@dataclass
class Outcome:
    """What the passes of an update return besides gradients.

    Attributes:
        loss: the loss, a scalar.
        kept: tensors that outlive the update, by name.
    """

    loss: Tensor
    kept: Batch


Passes = Callable[[Update], Outcome]  # leaves the gradients at the weights


class Recorder(Protocol):
    """Records the operations of a function."""

    def rehearse(self, passes: Callable[[], Outcome]) -> Outcome:
        """Runs a function as it will be recorded."""

    def record(
        self, passes: Callable[[], Outcome], generators: Sequence[torch.Generator]
    ) -> tuple[Outcome, Callable[[], None]]:
        """Returns what a function will return, and what runs its operations again.

        Recording runs none of them.

        Args:
            passes: the function.
            generators: generators that it draws from. A replay continues their present sequences.

        Raises:
            RuntimeError: the function waits for the device.
        """

    def forget(self) -> None:
        """Prepares for new recordings after all earlier ones were dropped."""


class CudaRecorder:
    """Records CUDA graphs, which share one memory pool."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def rehearse(self, passes: Callable[[], Outcome]) -> Outcome:
        """Runs a function on the stream that records."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            outcome = passes()
        current.wait_stream(self._stream)
        return outcome

    def record(
        self, passes: Callable[[], Outcome], generators: Sequence[torch.Generator]
    ) -> tuple[Outcome, Callable[[], None]]:
        """Returns what a function will return, and the replay of its operations.

        Raises:
            RuntimeError: the function waits for the device.
            RunError: the same, and this version of PyTorch cannot compute any more.
        """
        graph = torch.cuda.CUDAGraph()
        if not recovers():  # later versions register generators at their first draw
            for generator in generators:
                graph.register_generator_state(generator)
        # Other threads may allocate meanwhile: those that copy batches and write checkpoints.
        mode = "thread_local"
        try:
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode=mode):
                outcome = passes()
        except RuntimeError as error:
            self.forget()
            if not recovers():
                raise RunError(
                    f"an update cannot be recorded as a CUDA graph: {cause(error)}. "
                    f"PyTorch {torch.__version__} cannot go on after that: resume the run with "
                    f"trainer.cuda_graphs=false, or use PyTorch {RECOVERS}"
                ) from error
            raise
        return outcome, graph.replay

    def forget(self) -> None:
        """Takes a new memory pool; the old one is freed with its last graph and result."""
        self._pool = torch.cuda.graph_pool_handle()


def recovers() -> bool:
    """Whether this version of PyTorch can go on after a recording that failed."""
    return TorchVersion(torch.__version__) >= RECOVERS


def cause(error: BaseException) -> str:
    """Returns the first line of the error that led to another one."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0]
