"""Paths as people type them: every verb reads its paths through this one function."""

from __future__ import annotations

from pathlib import Path

from ganforge.errors import ConfigError


def typed_path(text: str | Path) -> Path:
    """Returns the path that ``text`` names, with ``~`` and ``~user`` expanded.

    Args:
        text: a path from a command line, where shells do not expand ``~`` after ``=``.

    Raises:
        ConfigError: there is no such user, no home folder, or the text cannot be a path.
    """
    try:
        if "\0" in str(text):
            raise ConfigError(f"{str(text)!r} holds a NUL character and cannot be a path")
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{text}: cannot expand ~: {error}") from error
