"""Default location of everything that is stored between runs. Imports nothing heavy."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from ganforge.paths import typed_path

log = logging.getLogger("ganforge")


def cache_root() -> Path:
    """Returns ``$GANFORGE_CACHE``, or :func:`user_cache`."""
    path = os.environ.get("GANFORGE_CACHE")
    if not path:
        return user_cache()
    ensure_home()
    return typed_path(path)


def user_cache() -> Path:
    """Returns ``~/.cache/ganforge``, in a temporary home if the user has none."""
    ensure_home()
    return Path.home() / ".cache" / "ganforge"


def ensure_home() -> None:
    """Sets HOME to a temporary folder if this user has no home, and logs a warning.

    Containers often run under a user id without an entry in the user database. Libraries then fail,
    or write into a folder named "~".
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(_own_temporary())
        log.warning(
            "This user has no home folder; caches are stored in %s. Set HOME, or GANFORGE_CACHE "
            "and GANFORGE_DATA, to permanent folders.",
            os.environ["HOME"],
        )


def _own_temporary() -> Path:
    """Returns a folder that no other user can write to, because its contents are trusted."""
    user = os.getuid() if hasattr(os, "getuid") else -1
    folder = Path(tempfile.gettempdir()) / f"ganforge-home-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not folder.is_symlink() and status.st_uid == user and not status.st_mode & 0o022:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="ganforge-home-"))
