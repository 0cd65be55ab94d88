"""What the null GPU has counted in this process."""

from __future__ import annotations

import ctypes
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import torch

OPERATIONS = (
    "launches",
    "blas",
    "conv",
    "dnn",
    "memset",
    "device_to_device",
    "graph_launches",
)
SYNCHRONIZATIONS = (
    "stream_synchronize",
    "device_synchronize",
    "event_synchronize",
    "blocking_copy",
)
COLLECTIVES = ("all_reduce", "broadcast", "all_gather")

_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
_VISIT = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_long)
_library = ctypes.CDLL(None)  # the runtime is preloaded


def counts() -> Counter[str]:
    """Returns all counters since the start of the process."""
    _library.nullcuda_counter_names.restype = ctypes.c_char_p
    names = _library.nullcuda_counter_names().decode().split()
    _library.nullcuda_counts.restype = ctypes.POINTER(ctypes.c_long * len(names))
    return Counter(dict(zip(names, _library.nullcuda_counts().contents, strict=True)))


def totals(counted: Counter[str]) -> dict[str, int]:
    """Returns the sums of counters that belong together."""
    return {
        "operations": sum(counted[name] for name in OPERATIONS),
        "synchronizations": sum(counted[name] for name in SYNCHRONIZATIONS),
        "collectives": sum(counted[name] for name in COLLECTIVES),
        "collective_bytes": sum(counted[f"{name}_bytes"] for name in COLLECTIVES),
    }


class Trace:
    """Counts by place in the code: synchronizations, collectives and kernels, from start to stop.

    Attributes:
        places: counts by (kind, own line, stack): what happened, the innermost line of ganforge,
            and the innermost three frames of all.
        kernels: launches of each kernel by its mangled name.
    """

    def __init__(self) -> None:
        self.places: Counter[tuple[str, str, str]] = Counter()
        self.kernels: Counter[str] = Counter()
        self._running = False
        self._hook = _HOOK(lambda kind: self.add(kind.decode()))  # must outlive the library's use

    def start(self) -> None:
        """Starts counting from zero."""
        self.places.clear()
        self.kernels.clear()
        self._running = True
        _library.nullcuda_hook(self._hook)
        _library.nullcuda_name_kernels(1)

    def stop(self) -> None:
        """Stops counting and fetches the kernels."""
        self._running = False
        _library.nullcuda_hook(ctypes.cast(None, _HOOK))
        _library.nullcuda_name_kernels(0)
        _library.nullcuda_kernels(_VISIT(self._add_kernel))

    def add(self, kind: str) -> None:
        """Counts something at the place of the caller."""
        if not self._running:
            return
        frames = traceback.extract_stack()[:-1]
        frames = [frame for frame in frames if Path(__file__).parent not in _parents(frame)]
        inner = [f"{_short(frame)}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
        own = [place for place in inner if place.startswith("ganforge/")]
        self.places[kind, own[0] if own else "-", " < ".join(inner[:3])] += 1

    def _add_kernel(self, name: bytes, count: int) -> None:
        self.kernels[name.decode()] += count


def _parents(frame: traceback.FrameSummary) -> Any:
    return Path(frame.filename).parents


def _short(frame: traceback.FrameSummary) -> str:
    """Returns the path of a frame's file from its package on."""
    for folder in ("/site-packages/", "/src/"):
        if folder in frame.filename:
            return frame.filename.rpartition(folder)[2]
    return Path(frame.filename).name


def peak_bytes() -> int:
    """Returns the largest number of bytes that PyTorch's allocator has had in use."""
    return torch.cuda.max_memory_allocated()
