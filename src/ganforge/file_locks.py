"""Locks of files (flock), which the system releases when their holder ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows has none
    import fcntl

_HELD_BY_ANOTHER = (errno.EWOULDBLOCK, errno.EAGAIN)
_UNSUPPORTED = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
_own: set[int] = set()  # descriptors that children must not keep


def try_lock(
    descriptor: int, shared: bool = False, wait: bool = False, doubtful: bool | None = None
) -> bool | None:
    """Locks an open file.

    Args:
        descriptor: descriptor of the file. The lock ends when it, and all its copies in forked
            processes, are closed.
        shared: whether other processes may hold shared locks too.
        wait: whether to wait for other holders.
        doubtful: the result after an error that does not tell whether the file is locked.

    Returns:
        Whether the file is now locked; None if the file system or the system has no locks.
    """
    if fcntl is None:
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        return None if error.errno in _UNSUPPORTED else doubtful
    return True


@contextlib.contextmanager
def kept_from_children(
    descriptor: int, before_closing: Callable[[], object] | None = None
) -> Iterator[None]:
    """Closes an open file after the block, and at once in processes that are forked meanwhile.

    A lock belongs to the open file, not to the process: a forked worker that outlives this process
    would keep it.

    Args:
        descriptor: descriptor of the file.
        before_closing: called at the end of the block, but not in a forked process.
    """
    _own.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _own:  # not in a forked process
            _own.discard(descriptor)
            try:
                if before_closing is not None:
                    before_closing()
            finally:
                os.close(descriptor)


def _close_inherited() -> None:
    for descriptor in _own:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _own.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)
