"""Paths that users type, of which all verbs use :func:`typed_path`, and the folder of caches."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ganforge import atomic
from ganforge.errors import ConfigError, RunError
from ganforge.plain_text import one_line, shortened

# Limits of the file systems of Linux, macOS and Windows.
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes
_WRONG_PATH = {errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
log = logging.getLogger("ganforge")


def typed_path(text: str | Path) -> Path:
    """Returns the path that ``text`` names, with ``~`` and ``~user`` expanded.

    Args:
        text: a path from the command line, where shells do not expand ``~`` after ``=``.

    Raises:
        ConfigError: the user or the home folder does not exist, or the text is not a valid path.
    """
    if str(text) == "":
        raise ConfigError("a path is empty: set one, or omit the key")
    if "\0" in str(text):
        raise ConfigError(f"{str(text)!r} contains a NUL character and cannot be a path")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{text}: cannot expand ~: {error}") from error
    _refuse_long(path)
    return path


def is_there(text: str | Path) -> bool:
    """Whether ``text`` names an existing path; false for text that is not a valid path."""
    try:
        return typed_path(text).exists()
    except (ConfigError, OSError):
        return False


def _refuse_long(path: Path) -> None:
    """Refuses paths that every system call would reject, before anything is created."""
    for name in path.parts:
        if (length := len(os.fsencode(name))) > LONGEST_NAME:
            raise ConfigError(
                f"{shortened(name)}: a name of {length} bytes; file systems allow {LONGEST_NAME}"
            )
    if (length := len(os.fsencode(path))) > LONGEST_PATH:
        raise ConfigError(
            f"{shortened(str(path))}: a path of {length} bytes; at most {LONGEST_PATH}"
        )


def local_path(text: str | Path, key: str) -> Path:
    """Returns the path of data on a disk; see :func:`typed_path`.

    Args:
        text: a path from the command line.
        key: its key, for the message.

    Raises:
        ConfigError: it is a URL, or not a valid path.
    """
    if _URL.match(str(text)):
        raise ConfigError(
            f"{key}={one_line(text)} is a URL, and these data are read from a disk. Tars at a URL: "
            "data=webdataset data.urls=URL"
        )
    return typed_path(text)


def check_folder(folder: Path, key: str) -> None:
    """Checks that files can be written to a folder. Everything created by the check is removed.

    Args:
        folder: folder to check; it need not exist.
        key: configuration key of the folder, for messages.

    Raises:
        ConfigError: the path cannot be a folder.
        RunError: the folder, or a file in it, cannot be created.
    """
    if is_there(folder) and not folder.is_dir():
        raise ConfigError(f"{key}={one_line(folder)} is a file, not a folder")
    with _named(folder, key), contextlib.ExitStack() as undone:
        for path in reversed([folder, *folder.parents]):
            if not path.exists():
                path.mkdir()
                undone.callback(_remove, path)
        probe = atomic.temporary_sibling(folder / "probe")
        undone.callback(probe.unlink, missing_ok=True)
        with open(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(bytes(1))


def check_file(path: Path, key: str) -> None:
    """Checks that a file can be written; raises the same errors as :func:`check_folder`."""
    with _named(path, key):
        is_folder = path.is_dir()
    if is_folder:
        raise ConfigError(f"{key}={one_line(path)} is a folder; set the path of a file")
    check_folder(path.absolute().parent, key)


@contextlib.contextmanager
def _named(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = ConfigError if error.errno in _WRONG_PATH else RunError
        reason = error.strerror or error
        raise kind(f"cannot write to {key}={one_line(path)} ({reason}); choose another") from error


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not empty: another process has started to use it
        folder.rmdir()


def conf_dir() -> Path:
    """Returns the folder conf/: inside the package in a wheel, in the root of a checkout."""
    package = Path(__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"


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
