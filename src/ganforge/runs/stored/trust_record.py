"""The user's list of objects that runs typed on this machine were made of."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from pathlib import Path

log = logging.getLogger("ganforge")

MOST = 1_000_000  # bytes that are read


def record_file() -> Path | None:
    """Returns ``~/.config/ganforge/trusted``, or that below XDG_CONFIG_HOME; None without a home.

    Not in GANFORGE_CACHE, which several users may share.
    """
    given = os.environ.get("XDG_CONFIG_HOME")
    with contextlib.suppress(RuntimeError):
        base = Path(given) if given else Path.home() / ".config"
        if base.is_absolute():
            return base / "ganforge" / "trusted"
    return None


def recorded() -> set[str]:
    """Returns the dotted names in the list; none where it is another user's or writable by one."""
    path = record_file()
    if path is None:
        return set()
    try:
        descriptor = os.open(path, os.O_RDONLY | _flags())
    except OSError:
        return set()
    with open(descriptor, "rb") as file:
        if not _is_private(descriptor):
            log.warning(
                "%s is ignored: it must be a file of yours that nobody else can write (chmod 600)",
                path,
            )
            return set()
        lines = file.read(MOST).decode(errors="replace").splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def remember(names: set[str]) -> None:
    """Adds names to the list. Where the list cannot be written, the run continues.

    One write in append mode: runs that start together lose no entry, and none is torn.
    """
    path = record_file()
    new = sorted(name for name in names - recorded() if name.isprintable()) if names else []
    if path is None or not new:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _flags()
        descriptor = os.open(path, flags, 0o600)
        try:
            if _is_private(descriptor):
                os.write(descriptor, "".join(f"{name}\n" for name in new).encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        log.info("%s: cannot be written (%s); resuming needs trust=[...]", path, error.strerror)


def _flags() -> int:
    """Returns flags that follow no link and wait for no FIFO, where the system knows them."""
    return getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def _is_private(descriptor: int) -> bool:
    """Whether an open file is a plain one of this user's that others cannot write."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return False
    if os.name != "posix":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
