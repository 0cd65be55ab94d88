from __future__ import annotations

import pytest

from ganforge.plain_text import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Größe 東京 😀", "plain Größe 東京 😀"),
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("right\u202eleft", r"right\u202eleft"),
        ("line\u2028separator", r"line\u2028separator"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert one_line(text) == shown
