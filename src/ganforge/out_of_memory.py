"""Messages about memory that ran out: how much was used, and by which settings."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from typing import Any, cast

import torch

from ganforge.errors import MemoryLimitError, is_out_of_memory
from ganforge.plain_text import one_line

_GIB = 2**30


@contextlib.contextmanager
def explaining_memory(device: torch.device, advice: str) -> Iterator[None]:
    """Replaces an error of memory that ran out by one with the peak and what to change.

    Args:
        device: the device that the block computes on.
        advice: the settings that decide how much memory is used, and what to change.

    Raises:
        MemoryLimitError: memory ran out in the block.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        message = f"out of memory{used(device)}: {_first_sentences(error)}. {advice}"
        # Frees the tensors of the failed step, which a sweep's next job needs.
        traceback.clear_frames(error.__traceback__)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise MemoryLimitError(message) from error


def forget_peak(device: torch.device) -> None:
    """Restarts the measurement of the peak, which an earlier job of a sweep may have set."""
    if device.type == "cuda" and cast(Any, torch.cuda).is_initialized():
        torch.cuda.reset_peak_memory_stats(device)


def used(device: torch.device) -> str:
    """Returns ``" on NVIDIA H200 (139.8 GiB, of which tensors took at most 131.2)"``, or ""."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory / _GIB
        peak = torch.cuda.max_memory_allocated(device) / _GIB
        name = torch.cuda.get_device_name(device)
        return f" on {name} ({total:.1f} GiB, of which tensors took at most {peak:.1f})"
    if device.type == "mps":
        taken = cast(Any, torch.mps).driver_allocated_memory() / _GIB
        return f" on MPS ({taken:.1f} GiB in use)"
    return ""


def _first_sentences(error: BaseException) -> str:
    """Returns what could not be allocated; the rest of PyTorch's message is about its allocator."""
    text = one_line((str(error).strip() or type(error).__name__).splitlines()[0])
    return ". ".join(text.split(". ")[:2]).rstrip(".")[:200]
