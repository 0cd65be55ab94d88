"""Parsing of paths that users type. All verbs use :func:`typed_path`."""

from __future__ import annotations

import os
from pathlib import Path

from ganforge.errors import ConfigError
from ganforge.plain_text import shortened

# Limits of the file systems of Linux, macOS and Windows.
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes


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
