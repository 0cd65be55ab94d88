"""The lock of a run folder: only one process at a time trains in it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ganforge.errors import RunError
from ganforge.file_locks import kept_from_children, try_lock
from ganforge.processes import is_another_living, is_living
from ganforge.regular_files import open_regular

LOCK = ".lock"
HEARTBEAT = 10.0  # seconds between updates of the lock file's mtime
PATIENCE = 35.0  # seconds without an update after which a holder on another host counts as dead
STALE = 3600.0  # seconds after which a lock is stale without waiting; above any clock skew
GLANCE = 1.0  # seconds to retry: holder() in another process briefly takes a shared lock

log = logging.getLogger("ganforge")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks a run folder inside the block: no other process trains in it or removes it.

    The operating system releases the lock when the process ends, however it ends. If hosts share
    files but not locks, the file's mtime, updated every few seconds, shows that a holder on
    another host is alive.

    Raises:
        RunError: another process holds the folder.
    """
    path = folder / LOCK
    descriptor = _acquire(path)
    finished = threading.Event()
    # Unlinked before it is unlocked: a process that waits for this file then sees in _is_still that
    # it locked a removed file, and tries again.
    with kept_from_children(descriptor, before_closing=lambda: _remove(path)):
        threading.Thread(target=_beat, args=(path, finished), daemon=True).start()
        try:
            yield
        finally:
            finished.set()


def is_locked(folder: Path) -> bool:
    """Whether a running process holds a run folder."""
    return holder(folder) is not None


def holder(folder: Path) -> str | None:
    """Returns the holder of a run folder, such as "process 123 on node7"; None if it is free."""
    try:
        descriptor = open_regular(folder / LOCK)
    except OSError:  # no lock, or a link or FIFO, which no run creates
        return None
    try:
        host, pid = _read(descriptor)
        free = _try(descriptor, shared=True)
        if free is False:
            return _named(host, pid)
        if host == socket.gethostname():
            return _named(host, pid) if free is None and is_living(pid) else None
        age = time.time() - os.fstat(descriptor).st_mtime
        return _named(host, pid) if host and age < PATIENCE else None
    finally:
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """Opens and locks the file; returns its descriptor.

    Raises:
        RunError: another process holds it, or the file cannot be written or is not a lock.
    """
    deadline = time.monotonic() + GLANCE
    while True:
        descriptor = _open(path)
        _refuse_others(path, descriptor)
        taken = _try(descriptor, shared=False)
        host, pid = _read(descriptor)
        if taken is not False and _is_still(path, descriptor):
            break
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise _refusal(path, host, pid)
        time.sleep(0.02)
    # The file still names a holder: a dead one if flock works, perhaps a live one if it does not
    # work at all (taken is None) or not across hosts.
    here = host == socket.gethostname()
    if _lives_elsewhere(path, host) or (taken is None and here and is_another_living(pid)):
        os.close(descriptor)
        raise _refusal(path, host, pid)
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"{socket.gethostname()} {os.getpid()}\n".encode())
    return descriptor


def _open(path: Path) -> int:
    try:
        return open_regular(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def _refuse_others(path: Path, descriptor: int) -> None:
    """Rejects a file of that name that is not a lock, because locking truncates the file."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, 1000).strip(b"\0 \n")
    # A host and a pid; a partially written lock is accepted too.
    if len(text) > 300 or not re.fullmatch(rb"\S* ?\S*", text):
        os.close(descriptor)
        raise RunError(f"{path} is not the lock of a run; move it away, or remove it")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _try(descriptor: int, shared: bool) -> bool | None:
    """Locks a file without waiting; returns None without locks, where its contents decide."""
    return try_lock(descriptor, shared, doubtful=False)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the locked file is still the one at ``path``: its last holder may have removed it."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lives_elsewhere(path: Path, host: str) -> bool:
    """Whether a holder on another host is alive: waits for it to update the file's mtime.

    Apart from STALE, mtimes are compared only with each other, since clocks of hosts may differ.
    """
    if not host or host == socket.gethostname() or time.time() - path.stat().st_mtime > STALE:
        return False
    log.warning("%s: was held on %s; waiting %.0f s to see if it is", path, host, PATIENCE)
    first, deadline = path.stat().st_mtime_ns, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(min(1.0, PATIENCE / 10))
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime_ns != first:
                return True
    return False


def _beat(path: Path, finished: threading.Event) -> None:
    while not finished.wait(HEARTBEAT):
        with contextlib.suppress(OSError):  # the disk may be unavailable for a while
            os.utime(path, follow_symlinks=os.utime not in os.supports_follow_symlinks)


def _read(descriptor: int) -> tuple[str, int]:
    """Returns the host and pid in a lock file; "" and 0 if it is not written yet."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    host, _, pid = os.read(descriptor, 1000).decode(errors="replace").strip().rpartition(" ")
    return (host, int(pid)) if host and pid.isdigit() else ("", 0)


def _named(host: str, pid: int) -> str:
    return f"process {pid} on {host}" if host else "another process"


def _refusal(path: Path, host: str, pid: int) -> RunError:
    return RunError(
        f"{path.parent}: {_named(host, pid)} is training in this folder; a run has one at a time. "
        "Wait for it or stop it, or start a new run (without resume=)"
    )
