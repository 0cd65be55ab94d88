"""Changes to modules, at their import, where the values of a null GPU would end a run.

Kernels write nothing, so a flag that is computed on the device reads as false, and a selection by a
mask as whatever was in memory. What is read is still read, so that synchronizations count.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


def install() -> None:
    """Patches the modules below when they are imported."""
    sys.meta_path.insert(0, Patcher(PATCHES))


class Patcher(importlib.abc.MetaPathFinder):
    """Calls a function with a module after it has been imported.

    Args:
        patches: functions by the name of their module.
    """

    def __init__(self, patches: dict[str, Callable[[ModuleType], None]]) -> None:
        self._patches = dict(patches)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Finds a module to patch by the other finders, and wraps its loader."""
        patch = self._patches.pop(name, None)
        spec = importlib.util.find_spec(name) if patch else None
        if patch is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec


def tolerate_divergence(module: ModuleType) -> None:
    """Losses and weights are read, but not believed; and the steps are counted."""
    from tests.nullcuda import counting

    model, divergence = module.AdversarialModule, sys.modules["ganforge.errors"].DivergenceError

    def tolerant(check: Callable[[Any], None]) -> Callable[[Any], None]:
        def tolerant_check(self: Any) -> None:
            try:
                check(self)
            except divergence:
                return

        return tolerant_check

    model.assert_finite = tolerant(model.assert_finite)
    model.assert_worth_saving = tolerant(model.assert_worth_saving)
    counting.install(model)


def know_sizes(module: ModuleType) -> None:
    """The Frechet distance without what depends on values: the rank of a covariance."""
    module.triangular_factor = lambda covariance: covariance.new_zeros(covariance.shape)
    module._lower_of_sandwich = lambda factor, covariance: factor @ covariance @ factor.T
    module.root_trace = lambda first, second: (first.mean * second.mean).sum()


def gather_equal_sizes(module: ModuleType) -> None:
    """Gathers results of equal sizes, since sizes that are exchanged on the device are zeros."""
    import torch

    def gather(result: torch.Tensor, group: Any = None) -> list[torch.Tensor]:
        if not result.is_cuda:
            raise RuntimeError(f"a tensor on {result.device} is in a collective of NCCL")
        return [result.contiguous()] * torch.distributed.get_world_size()

    module.gather_all_tensors = gather


def broadcast_objects_on_the_host(module: ModuleType) -> None:
    """Sends pickled objects through gloo: their sizes, summed on the device, would be zeros."""
    broadcast, groups = module.broadcast_object_list, []

    def broadcast_object_list(objects: list[Any], src: int = 0, *_: Any, **__: Any) -> None:
        from tests.nullcuda import counting

        if not groups:
            groups.append(module.new_group(backend="gloo"))
        counting.TRACE.add("broadcast_object_list")
        broadcast(objects, src=src, group=groups[0])

    module.broadcast_object_list = broadcast_object_list


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "ganforge.models.engine.adversarial": tolerate_divergence,
    "ganforge.metrics.scores.frechet": know_sizes,
    "torchmetrics.utilities.distributed": gather_equal_sizes,
    "torch.distributed.distributed_c10d": broadcast_objects_on_the_host,
}
