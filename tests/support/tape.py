"""A recorder of updates that works on every device: it repeats operations, one by one.

Like a CUDA graph, a recording knows nothing of the program: it has the operations, the memory that
they read and write, and the numbers that were passed to them. Unlike one, it runs on the CPU, so
that a test can compare replayed updates with those of the program, value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganforge.models.engine.recorders import Outcome

READS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique")
BATCH_NORM = ("native_batch_norm", "cudnn_batch_norm")  # their schemas do not tell what they write
STATISTICS = (3, 4)  # arguments with the running statistics


class Tape:
    """Records the operations of a function, and repeats them with the same memory.

    Attributes:
        operations: number of operations in all recordings.
        replays: number of replays.
    """

    def __init__(self) -> None:
        self.operations = 0
        self.replays = 0

    def rehearse(self, passes: Callable[[], Outcome]) -> Outcome:
        """Runs the function."""
        return passes()

    def record(
        self, passes: Callable[[], Outcome], generators: Sequence[torch.Generator]
    ) -> tuple[Outcome, Callable[[], None]]:
        """Returns what the function will return, and what repeats its operations."""
        state = torch.default_generator.get_state()
        writer = Writer()
        try:
            with writer:
                outcome = passes()
        finally:
            writer.undo()
            torch.default_generator.set_state(state)
        self.operations += len(writer.operations)

        def replay() -> None:
            self.replays += 1
            for operation in writer.operations:
                repeat(*operation)

        return outcome, replay

    def forget(self) -> None:
        """Does nothing: recordings share no memory."""


class Writer(TorchDispatchMode):
    """Notes each operation with its arguments and results, and what it overwrites."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, ...]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name.partition("::")[2] in READS:
            raise RuntimeError("operation not permitted when stream is capturing")
        kwargs = kwargs or {}
        for written in tree_leaves(overwritten(func, args, kwargs)):
            if isinstance(written, Tensor):
                storage = written.untyped_storage()
                self._before.setdefault(storage._cdata, (storage, storage.clone()))
        results = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, results))
        return results

    def undo(self) -> None:
        """Restores all memory that was there before."""
        for storage, before in self._before.values():
            storage.copy_(before)


def overwritten(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """Returns the arguments that an operation overwrites."""
    if func._schema.name.partition("::")[2] in BATCH_NORM:
        return [args[i] for i in STATISTICS]
    parameters = func._schema.arguments
    given = dict(zip((p.name for p in parameters), args, strict=False)) | kwargs
    writes = [p.name for p in parameters if p.alias_info is not None and p.alias_info.is_write]
    return [given.get(name) for name in writes]


def repeat(func: Any, args: Sequence[Any], kwargs: dict[str, Any], results: Any) -> None:
    """Runs an operation again; new results are written where the old ones are."""
    with torch._C._AutoDispatchBelowAutograd():
        again = func(*args, **kwargs)
    aliases = [value.alias_info is not None for value in func._schema.returns]
    old = [results] if len(aliases) == 1 else results
    new = [again] if len(aliases) == 1 else again
    for one, other, alias in zip(old or (), new or (), aliases, strict=bool(aliases)):
        for before, after in zip(tree_leaves(one), tree_leaves(other), strict=True):
            if not alias and isinstance(before, Tensor):
                before.untyped_storage().copy_(after.untyped_storage())
