"""Output for terminals and log files of any encoding, without encoding errors."""

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
# Python's defaults. Any other handler was set by the user, as in PYTHONIOENCODING=ascii:replace.
_DEFAULTS = {"strict", "surrogateescape", "backslashreplace"}


def readable_streams() -> None:
    r"""Makes stdout and stderr replace characters that their encoding does not support.

    Log files on clusters and under cron are often ASCII, where a single "·" would end a sweep with
    a UnicodeEncodeError. Known signs become similar ASCII text, others ``\u...`` escapes.
    """
    codecs.register_error(_NAME, _readable)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in _DEFAULTS and hasattr(stream, "reconfigure"):
            with contextlib.suppress(ValueError, OSError):  # the stream is closed or detached
                stream.reconfigure(errors=_NAME)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_instead, error.object[error.start : error.end])), error.end


def _instead(character: str) -> str:
    if "\u2500" <= character <= "\u259f":  # box drawing and block elements
        return "|" if character in "│┃║" else "-" if character in "─━═╌" else "+"
    known = _INSTEAD.get(character)
    return known or character.encode("ascii", "backslashreplace").decode()
