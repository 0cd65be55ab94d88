"""Output that any terminal or log file takes: no encoding ends a command with an error."""

from __future__ import annotations

import codecs
import contextlib
import sys

_NAME = "ganforge.readable"
_INSTEAD = {
    "·": "|",
    "…": "...",
    "±": "+/-",
    "×": "x",  # noqa: RUF001
    "÷": "/",
    "→": "->",
    "←": "<-",
    "↑": "^",
    "↓": "v",
    "–": "-",  # noqa: RUF001
    "—": "-",
    "−": "-",  # noqa: RUF001
    "‘": "'",  # noqa: RUF001
    "’": "'",  # noqa: RUF001
    "“": '"',
    "”": '"',
    "•": "*",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "✓": "ok",
    "✗": "x",
    "\u00a0": " ",
}
# Python's own choices; another one was made by the user, as in PYTHONIOENCODING=ascii:replace.
_DEFAULTS = {"strict", "surrogateescape", "backslashreplace"}


def readable_streams() -> None:
    r"""Makes standard output and error write what their encoding lacks in characters that it has.

    Log files of clusters and cron are often ASCII, where a single dot between two words would end
    a sweep. Known signs become their nearest ASCII, others ``\u...`` escapes.
    """
    codecs.register_error(_NAME, _readable)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in _DEFAULTS and hasattr(stream, "reconfigure"):
            with contextlib.suppress(ValueError, OSError):  # closed, or detached
                stream.reconfigure(errors=_NAME)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_instead, error.object[error.start : error.end])), error.end


def _instead(character: str) -> str:
    if "\u2500" <= character <= "\u259f":  # boxes and bars
        return "|" if character in "│┃║" else "-" if character in "─━═╌" else "+"
    known = _INSTEAD.get(character)
    return known or character.encode("ascii", "backslashreplace").decode()
