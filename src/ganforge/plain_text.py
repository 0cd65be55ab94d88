"""Text that is safe to show in a terminal or a table, wherever it comes from."""

from __future__ import annotations

import unicodedata

# Separators and marks that reorder text or start a line of their own, though they are no controls.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}  # of scripts and emoji: they change glyphs alone


def one_line(text: object) -> str:
    r"""Returns ``text`` on one line, with control and formatting characters escaped.

    Escape sequences in the name of a file, run or score would move the cursor, set the window's
    title or forge a line of output; direction marks would reorder what is read.

    Args:
        text: anything; its ``str`` is shown.

    Returns:
        ``text`` with such characters written as in a Python string, ``\x1b`` for ESC.
    """
    return "".join(_shown(character) for character in str(text))


def safe_lines(text: object) -> str:
    """Returns ``text`` likewise, on the lines that it has.

    For messages of several lines; what a message takes from elsewhere is made one line first.
    """
    return "\n".join(one_line(line) for line in str(text).split("\n"))


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
