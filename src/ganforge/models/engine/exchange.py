"""Means over the processes of a run, each of which trains a copy of the whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

BUCKET_BYTES = 25 * 2**20


class GradientExchange:
    """Averages the gradients of one player over the processes, once an update.

    A player's gradients are exchanged after the last part of its update, those of the other player
    never, as flat buckets. A bucket is sent as soon as the last backward pass has completed it, so
    that sending overlaps with the rest of the pass. Buckets are sent in a fixed order, which must
    be the same on all processes.

    The result is that of one process with the whole batch, if losses are means over its rows.

    Args:
        parameters: weights of the player, in the same order on all processes.
        bucket_bytes: size at which a bucket is closed.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], bucket_bytes: int = BUCKET_BYTES
    ) -> None:
        self._buckets = [Bucket(found) for found in _grouped(parameters, bucket_bytes)]
        self._sent = len(self._buckets)  # all are, while no pass is watched
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(bucket.arrive)  # type: ignore[no-untyped-call]
            for bucket in self._buckets
            for parameter in bucket.parameters
        ]
        for bucket in self._buckets:
            bucket.completed = self._send_completed

    def open(self) -> None:
        """Announces the last backward pass of an update."""
        for bucket in self._buckets:
            bucket.missing = len(bucket.parameters)
        self._sent = 0

    def close(self) -> None:
        """Replaces the gradients of the player by their means over the processes."""
        while self._sent < len(self._buckets):  # buckets with weights that the loss does not use
            self._send()
        for bucket in self._buckets:
            bucket.receive()

    def remove(self) -> None:
        """Removes the hooks from the weights."""
        for hook in self._hooks:
            hook.remove()

    def _send_completed(self) -> None:
        while self._sent < len(self._buckets) and self._buckets[self._sent].missing == 0:
            self._send()

    def _send(self) -> None:
        self._buckets[self._sent].send()
        self._sent += 1


class Bucket:
    """Weights whose gradients are exchanged as one flat tensor.

    Attributes:
        parameters: the weights.
        missing: number of gradients that the current backward pass has not completed.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.missing = -1
        self.completed: Callable[[], None] = lambda: None
        self._flat: Tensor | None = None
        self._work: distributed.Work | None = None

    def arrive(self, parameter: Tensor) -> None:
        """Counts a completed gradient; calls ``completed`` after the last one."""
        self.missing -= 1
        if self.missing == 0:
            self.completed()

    def send(self) -> None:
        """Starts adding up the gradients of all processes."""
        gradients = [_flattened(p) for p in self._used()]
        if gradients:
            self._flat = torch.cat(gradients).div_(distributed.get_world_size())
            self._work = distributed.all_reduce(self._flat, async_op=True)

    def receive(self) -> None:
        """Waits for the sums and makes them the gradients."""
        if self._work is None or self._flat is None:
            return
        self._work.wait()
        start = self._flat.storage_offset()
        for parameter in self._used():
            parameter.grad = self._flat.as_strided(parameter.shape, parameter.stride(), start)
            start += parameter.numel()
        self._flat = self._work = None

    def _used(self) -> list[nn.Parameter]:
        return [p for p in self.parameters if p.grad is not None]


def _grouped(parameters: Iterable[nn.Parameter], size: int) -> list[list[nn.Parameter]]:
    """Returns the weights in buckets, the last layers first: their gradients come first."""
    buckets: list[list[nn.Parameter]] = [[]]
    filled = 0
    for parameter in reversed(list(parameters)):
        bucket = buckets[-1]
        if bucket and (filled >= size or parameter.dtype != bucket[0].dtype):
            buckets.append([])
            filled = 0
        buckets[-1].append(parameter)
        filled += parameter.numel() * parameter.element_size()
    return buckets if buckets[0] else []


def _flattened(parameter: nn.Parameter) -> Tensor:
    """Returns a gradient as a vector, in the memory order of its weight."""
    gradient = parameter.grad
    assert gradient is not None  # for the type checker
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    return gradient.as_strided((gradient.numel(),), (1,))


def statistics(*modules: nn.Module) -> list[Tensor]:
    """Returns the running means and variances of all BatchNorm layers."""
    layers = [
        layer
        for module in modules
        for layer in module.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    pairs = [(layer.running_mean, layer.running_var) for layer in layers]
    return [tensor for pair in pairs for tensor in pair if tensor is not None]


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replaces tensors of one dtype by their means over the processes, in one collective."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat.div_(distributed.get_world_size()))
    means = torch.split(flat, [tensor.numel() for tensor in tensors])
    torch._foreach_copy_(list(tensors), [m.view_as(t) for m, t in zip(means, tensors, strict=True)])
