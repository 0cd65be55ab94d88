from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm


class SynchronizedBatchNorm(_BatchNorm):
    """BatchNorm over the images of all processes, in training.

    Unlike :class:`torch.nn.SyncBatchNorm`, it also works on the CPU, and its derivatives have
    derivatives, as gradient penalties need. In evaluation mode, or in a single process, it is an
    ordinary BatchNorm. Every process must call it equally often, with equally many images.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, C, ...] of features [B, C, ...], normalized for each channel."""
        if not (self.training and several()):
            return super().forward(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        wide = x.float() if x.element_size() < 4 else x
        variance, mean = torch.var_mean(wide, axes, correction=0)
        mean, variance = pooled(mean, variance)
        self._track(mean, variance, x.numel() // x.shape[1] * distributed.get_world_size())
        shape = [1, -1, *[1] * (x.ndim - 2)]
        gain = (variance + self.eps).rsqrt()
        if self.affine:
            gain = gain * self.weight
        y = (wide - mean.view(shape)) * gain.view(shape)
        return (y + self.bias.view(shape) if self.affine else y).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if share is None else share
        assert share is not None  # for the type checker
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        unbiased = variance * (count / max(count - 1, 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)

    def _check_input_dim(self, input: Tensor) -> None:
        """Accepts all shapes."""


def several() -> bool:
    """Whether this process is one of several that torch.distributed connects."""
    ready = distributed.is_available() and distributed.is_initialized()
    return ready and distributed.get_world_size() > 1


class _Sum(torch.autograd.Function):
    """Sum over the processes, whose derivative is the sum of the gradients of all of them."""

    @staticmethod
    def forward(ctx: FunctionCtx, own: Tensor) -> Tensor:
        total = own.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        return cast(Tensor, _Sum.apply(gradients[0]))


def pooled(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and biased variance over the rows of all processes, which are equally many.

    Means are compared before they are squared, which would lose the digits of small variances.

    Args:
        mean: mean of this process's rows, [C].
        variance: their biased variance, [C].
    """
    rows = mean.new_zeros(distributed.get_world_size(), 2, len(mean))
    rank = torch.arange(len(rows), device=mean.device) == distributed.get_rank()
    own = torch.stack([mean, variance])
    placed = torch.where(rank[:, None, None], own, rows)
    means, variances = cast(Tensor, _Sum.apply(placed)).unbind(1)
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)


def synchronize_batch_norm(module: nn.Module) -> None:
    """Replaces the BatchNorm layers in a module by :class:`SynchronizedBatchNorm`, in place.

    Names and values of weights and buffers stay the same.
    """
    for name, layer in module.named_children():
        if isinstance(layer, _BatchNorm):
            setattr(module, name, _synchronized(layer))
        else:
            synchronize_batch_norm(layer)


def _synchronized(layer: _BatchNorm) -> SynchronizedBatchNorm:
    made = SynchronizedBatchNorm(
        layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats
    )
    for name, parameter in layer.named_parameters(recurse=False):
        setattr(made, name, parameter)
    for name, buffer in layer.named_buffers(recurse=False):
        setattr(made, name, buffer)
    return made.train(layer.training)
