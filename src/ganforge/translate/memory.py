from __future__ import annotations

import math
import os
import weakref
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SHARE = 0.75  # of the free memory that a translation may take; others use the machine too
# On what is measured: hooks see no function's result, nor the working memory of convolutions.
SLACK = 2.0
PROBE = 64  # side of the image that is measured, at least
UNKNOWN = 2 * 2**30  # bytes, where a system does not say what is free

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def side_that_fits(height: int, width: int, multiple: int, pixel: float, free: int) -> int | None:
    """Returns the side of square tiles that memory allows; None where the whole image fits.

    Args:
        height: of the padded image.
        width: of the padded image.
        multiple: what the side must be a multiple of; the least that is returned.
        pixel: bytes that the network holds for each pixel; see :func:`bytes_per_pixel`.
        free: bytes.
    """
    pixels = SHARE * free / (SLACK * pixel)
    if height * width <= pixels:
        return None
    return max(math.isqrt(int(pixels)) // multiple, 1) * multiple


@torch.no_grad()
def bytes_per_pixel(network: nn.Module, channels: int, side: int = PROBE) -> float:
    """Returns the most bytes of tensors that a network holds at once, for each pixel of its input.

    Measured on one small image: hooks see the output of every module when it is made, and weak
    references when it is freed. Weights are not counted.

    Args:
        network: in full precision, on its device; its mode is left as it is.
        channels: of its input.
        side: of the image, one that the network takes.
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
    """Counts the bytes of the tensors that are alive."""

    def __init__(self, image: Tensor) -> None:
        self._bytes: dict[int, int] = {}
        self._input = self.peak = image.nbytes

    def count(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """A forward hook. A tensor that several modules hand on is counted once."""
        if not isinstance(output, Tensor) or id(output) in self._bytes:
            return
        self._bytes[id(output)] = output.nbytes
        weakref.finalize(output, self._forget, id(output))
        self.peak = max(self.peak, self._input + sum(self._bytes.values()))

    def _forget(self, key: int) -> None:
        del self._bytes[key]


def free_bytes(device: torch.device) -> int:
    """Returns the memory that can still be taken on a device, in bytes."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    system, group = _free_in_system(), _free_in_group()
    return max(system if group is None else min(system, group), 0)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is used up; the CPU and MPS have a message alone for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "allocate memory" in str(error) or "out of memory" in str(error)


def _free_in_system() -> int:
    """Returns what the system can hand out, file caches included where it says so."""
    try:
        lines = dict(line.split(":") for line in _MEMINFO.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:  # macOS tells of all memory alone, of which half may be taken
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def _free_in_group() -> int | None:
    """Returns what the limit of a container leaves (control groups v2); None without one."""
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # "max" without a limit
        used = int((_CGROUP / "memory.current").read_text())
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
        files = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    except (OSError, ValueError, StopIteration):
        return None
    return limit - used + files
