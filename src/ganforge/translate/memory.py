from __future__ import annotations

import math
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.main_memory import free_memory

SHARE = 0.75  # fraction of the free memory that a translation may use; leaves some for others
# Factor on the measured bytes: hooks miss results of functions and the workspace of convolutions.
SLACK = 2.0
PROBE = 64  # smallest side of the image used for the measurement
UNKNOWN = 2 * 2**30  # bytes; assumed on systems that do not report free memory


def largest_side(height: int, width: int, multiple: int, pixel: float, free: int) -> int | None:
    """Returns the side of the largest square tiles that fit in memory; None if the image fits.

    Args:
        height: height of the padded image.
        width: width of the padded image.
        multiple: the side is a multiple of this number, and at least this number.
        pixel: bytes that the network needs per pixel; see :func:`bytes_per_pixel`.
        free: free memory in bytes.
    """
    pixels = SHARE * free / (SLACK * pixel)
    if height * width <= pixels:
        return None
    return max(math.isqrt(int(pixels)) // multiple, 1) * multiple


@torch.no_grad()
def bytes_per_pixel(network: nn.Module, channels: int, side: int = PROBE) -> float:
    """Returns the peak memory of a network's activations, in bytes per pixel of its input.

    Measured on one small image: forward hooks record when the output of a module is created, and
    weak references when it is freed. Weights are not counted.

    Args:
        network: network in full precision, on its device; its train/eval mode is restored.
        channels: number of input channels.
        side: side of the image, a size that the network accepts.
    """
    weight = next(network.parameters(), torch.empty(0))
    image = torch.zeros(1, channels, side, side, device=weight.device)
    held = _Held(image)
    hooks = [module.register_forward_hook(held.count) for module in network.modules()]
    was_training = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            network(image)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return held.peak / side**2


class _Held:
    """Tracks the bytes of live module outputs, and their peak."""

    def __init__(self, image: Tensor) -> None:
        self._bytes: dict[int, int] = {}
        self._input = self.peak = image.nbytes

    def count(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Forward hook that adds a module's output. A tensor of several modules counts once."""
        if not isinstance(output, Tensor) or id(output) in self._bytes:
            return
        self._bytes[id(output)] = output.nbytes
        weakref.finalize(output, self._forget, id(output))
        self.peak = max(self.peak, self._input + sum(self._bytes.values()))

    def _forget(self, key: int) -> None:
        del self._bytes[key]


def free_bytes(device: torch.device) -> int:
    """Returns the memory that can still be allocated on a device, in bytes."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    free = free_memory()
    return UNKNOWN if free is None else free


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means out of memory. CPU and MPS errors are only recognizable by message."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "allocate memory" in str(error) or "out of memory" in str(error)
