"""Text that is safe to show in a terminal or a table, wherever it comes from."""

from __future__ import annotations

import unicodedata

# Control characters, and others that reorder text or start a new line.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}  # used by scripts and emoji; they only change glyphs


def one_line(text: object) -> str:
    r"""Returns ``text`` on one line, with control and formatting characters escaped.

    Escape sequences in the name of a file, run or score could move the cursor, set the window's
    title or forge a line of output. Direction marks could reorder the displayed text.

    Args:
        text: any object; its ``str`` is used.

    Returns:
        ``text`` with such characters written as in a Python string, for example ``\x1b`` for ESC.
    """
    return "".join(_shown(character) for character in str(text))


def safe_lines(text: object) -> str:
    """Returns ``text`` with the same characters escaped, except line breaks.

    For messages of several lines. Pass values from elsewhere through :func:`one_line` first.
    """
    return "\n".join(one_line(line) for line in str(text).split("\n"))


def shortened(text: str) -> str:
    """Returns ``text``, or its beginning if it has more than 60 characters."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
