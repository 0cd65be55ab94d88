from __future__ import annotations

import pytest

from ganforge.config.names import check_name
from ganforge.errors import ConfigError


@pytest.mark.parametrize("name", ["dcgan-mnist", "Über 3: a, b (c)", "1e3", "é" * 90, "a.b", "🙂"])
def test_names_that_are_legal(name):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "a\\b", ".a", "-a", " a", "a.", "a ", "a\nb", "\x1b[2J", "a" * 129, "語" * 61],
)
def test_names_that_are_refused(name):
    with pytest.raises(ConfigError, match="name="):
        check_name(name)
