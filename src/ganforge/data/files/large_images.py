"""Serializes the decoding of large images, so that parallel threads do not exhaust memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LARGE_BYTES = 32 * 2**20  # encoded size
LARGE_PIXELS = 2**24  # decoded size, 64 MB as RGBA

# Reentrant: an image that is large both encoded and decoded acquires the lock twice.
_turn = threading.RLock()
_held = threading.local()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Releases the lock at the end of the block if :func:`wait_for_slot` acquired it inside."""
    _held.count = 0
    try:
        yield
    finally:
        for _ in range(_held.count):
            _turn.release()
        del _held.count


def wait_for_slot() -> None:
    """Blocks until no other thread holds a large image; no-op outside of :func:`one_at_a_time`."""
    if hasattr(_held, "count"):
        _turn.acquire()
        _held.count += 1
