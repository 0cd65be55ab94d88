"""Output for terminals and log files of any encoding, without encoding errors."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

_NAME = "ganforge.readable"
_WITHIN_UV = "UV_RUN_RECURSION_DEPTH"  # set by `uv run`
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
log = logging.getLogger("ganforge")


def as_typed(command: str) -> str:
    """Returns a ``ganforge`` command for a message, with ``uv run`` if this one was typed so."""
    return f"uv run {command}" if _WITHIN_UV in os.environ else command


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


def open_standard_streams() -> None:
    """Opens /dev/null in place of closed standard streams, as after ``>&-``.

    Otherwise the next file opened, such as a checkpoint, would get descriptor 1 or 2, and printed
    text would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is ``number``
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Ignores write errors of stdout and stderr in the block; logs once that output is lost."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Steady(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


class _Steady:
    """A text stream whose writes always succeed.

    Args:
        stream: the stream to write to until it breaks.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes ``text``, or drops it once the stream is broken."""
        try:
            return self._stream.write(text)
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:
            self._discard_output(error)
            return len(text)

    def flush(self) -> None:
        """Writes the buffered text, or drops it once the stream is broken."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._discard_output(error)

    def _discard_output(self, error: Exception) -> None:
        broken, self._stream = self._stream, open(os.devnull, "w")  # noqa: SIM115
        # Python flushes sys.stdout and sys.stderr again at exit; point the descriptor to /dev/null.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(self._stream.fileno(), broken.fileno())
        reason = getattr(error, "strerror", None) or str(error)
        log.warning("output is lost (%s); the run continues", reason)
