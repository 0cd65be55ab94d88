"""The user's record of classes used by runs typed on this machine, which are trusted."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from pathlib import Path

log = logging.getLogger("ganforge")

MOST = 1_000_000  # maximum number of bytes read


def record_file() -> Path | None:
    """Returns ``~/.config/ganforge/trusted``, or that below XDG_CONFIG_HOME; None without a home.

    It is not in GANFORGE_CACHE, because several users may share that folder.
    """
    folder = os.environ.get("XDG_CONFIG_HOME")
    with contextlib.suppress(RuntimeError):
        base = Path(folder) if folder else Path.home() / ".config"
        if base.is_absolute():
            return base / "ganforge" / "trusted"
    return None


def recorded() -> set[str]:
    """Returns the recorded dotted names; empty if other users own or can write the file."""
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
    """Adds names to the record. If it cannot be written, the run continues.

    Uses a single write in append mode, so that concurrent runs neither lose nor mix entries.
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
    """Returns open flags that do not follow links or block on a FIFO, where supported."""
    return getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def _is_private(descriptor: int) -> bool:
    """Whether an open file is a regular file of this user that others cannot write."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return False
    if os.name != "posix":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
