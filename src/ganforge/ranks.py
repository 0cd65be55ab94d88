"""The processes of a run, which torch.distributed connects."""

from __future__ import annotations

from torch import distributed


def several() -> bool:
    """Whether this process is one of several that are connected."""
    ready = distributed.is_available() and distributed.is_initialized()
    return ready and distributed.get_world_size() > 1
