from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.errors import ConfigError
from ganforge.paths import typed_path


def test_the_home_folder_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed_path("~/x.png") == tmp_path / "x.png"
    assert typed_path("a/~b") == Path("a/~b")


@pytest.mark.parametrize("text", ["~no-such-user/x", "a\0b"])
def test_what_cannot_be_a_path_is_refused(text):
    with pytest.raises(ConfigError):
        typed_path(text)
