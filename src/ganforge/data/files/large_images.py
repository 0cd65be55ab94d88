"""Large images take turns: as many threads as processors decode at once, and memory is one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LARGE_BYTES = 32 * 2**20  # of an encoded image
LARGE_PIXELS = 2**24  # of a decoded image, 64 MB as RGBA

_turn = threading.RLock()
_held = threading.local()


@contextmanager
def taking_turns() -> Iterator[None]:
    """Ends this thread's turn, if :func:`wait_for_turn` began one inside of the block."""
    _held.count = 0
    try:
        yield
    finally:
        for _ in range(_held.count):
            _turn.release()
        del _held.count


def wait_for_turn() -> None:
    """Waits until no other thread holds a large image; does nothing outside of taking_turns."""
    if hasattr(_held, "count"):
        _turn.acquire()
        _held.count += 1
