from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Checkpointed(nn.Module):
    """Base class of blocks that can recompute their activations in the backward pass.

    Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): only the inputs of a block are
    kept, and its forward pass is run again when its gradients are needed. All derivatives stay the
    same, of any order. Only first derivatives save memory: a penalty on a gradient keeps what the
    gradient was computed from, and takes more time without a gain.

    Blocks must draw no random numbers, because the state of the generators is not restored.

    Attributes:
        checkpointing: whether to do so; has no effect without gradients or in compiled graphs.
    """

    checkpointing: bool = False

    def __call__(self, *inputs: Any) -> Any:
        """Returns what ``forward`` returns."""
        call = super().__call__
        if not self.checkpointing or not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return call(*inputs)
        return checkpoint(call, *inputs, use_reentrant=False, preserve_rng_state=False)


def set_checkpointing(blocks: Iterable[nn.Module], checkpointing: bool) -> None:
    """Sets whether the blocks among modules recompute their activations."""
    for block in blocks:
        if isinstance(block, Checkpointed):
            block.checkpointing = checkpointing
